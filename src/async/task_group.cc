#include "async/task_group.h"

#include <utility>

#include "async/event.h"

namespace perigee::async {

struct TaskGroup::Entry {
  Task<void> work;
  Task<void> wrapper;
  std::list<Entry>::iterator self;
};

TaskGroup::TaskGroup(Loop& loop, std::size_t max)
    : loop_(loop),
      share_(loop.share()),
      max_(max),
      reaper_waits_(loop),
      drain_waits_(loop),
      reaper_(reap(*this)) {
  reaper_.start();
}

TaskGroup::~TaskGroup() {
  cancel_all();
}

bool TaskGroup::spawn_for(ShareId share, Task<void> task) {
  if (running_ >= max_) return false;
  const OnBehalfOf scope(loop_, share);
  ++running_;
  entries_.emplace_front();
  Entry& entry = entries_.front();
  entry.self = entries_.begin();
  entry.work = std::move(task);
  entry.wrapper = wrap(*this, entry);
  entry.wrapper.start();
  return true;
}

Task<void> TaskGroup::wrap(TaskGroup& group, Entry& entry) {
  co_await std::move(entry.work);
  --group.running_;
  // The frame can't free itself: hand it to the reaper.
  group.finished_.splice(group.finished_.begin(), group.entries_, entry.self);
  group.reaper_waits_.wake_one();
  if (group.running_ == 0) group.drain_waits_.wake_all();
}

Task<void> TaskGroup::reap(TaskGroup& group) {
  for (;;) {
    co_await wait_in(group.loop_, group.reaper_waits_);
    std::list<Entry> dead;
    dead.swap(group.finished_);
  }
}

Task<void> TaskGroup::drained() {
  while (running_ > 0) co_await wait_in(loop_, drain_waits_);
}

void TaskGroup::cancel_all() {
  while (!entries_.empty()) {
    std::list<Entry> one;
    one.splice(one.begin(), entries_, entries_.begin());
    one.front().wrapper.reset();
    one.front().work.reset();
    --running_;
  }
  drain_waits_.wake_all();
}

}  // namespace perigee::async
