#include "async/loop.h"

#include <utility>

namespace perigee::async {

void Waiter::schedule() {
  unlink();
  loop_.ready_.push(*this);
}

void Waiter::unlink() {
  if (next_ == nullptr) return;
  next_->previous_ = previous_;
  previous_->next_ = next_;
  next_ = previous_ = nullptr;
}

void WaiterQueue::push(Waiter& waiter) {
  waiter.unlink();
  waiter.next_ = &head_;
  waiter.previous_ = head_.previous_;
  head_.previous_->next_ = &waiter;
  head_.previous_ = &waiter;
}

void WaiterQueue::wake_one() {
  if (!empty()) front().schedule();
}

void WaiterQueue::wake_all() {
  while (!empty()) front().schedule();
}

void WaiterQueue::clear() {
  while (!empty()) front().unlink();
}

void Timer::arm(MonotonicTime at) {
  disarm();
  fired_ = false;
  Loop& loop = waiter_.loop();
  at_ = at;
  order_ = loop.next_order_++;
  loop.heap_.push_back(this);
  index_ = loop.heap_.size() - 1;
  loop.heap_up(index_);
}

void Timer::disarm() {
  if (index_ == kDisarmed) return;
  Loop& loop = waiter_.loop();
  const std::size_t hole = std::exchange(index_, kDisarmed);
  Timer* last = loop.heap_.back();
  loop.heap_.pop_back();
  if (last == this) return;
  loop.place(hole, last);
  loop.heap_up(hole);
  loop.heap_down(last->index_);
}

Loop::Loop(EventPort& port) : port_(port), now_(port.now()), ready_(*this) {}

Loop::~Loop() = default;

void Loop::post(std::move_only_function<void()> fn) {
  {
    const std::scoped_lock lock(posted_mutex_);
    posted_.push_back(std::move(fn));
  }
  port_.wake();
}

void Loop::turn(MayWait may_wait) {
  std::optional<MonotonicTime> until;
  if (!heap_.empty()) until = heap_.front()->at_;
  if (!ready_.empty() || may_wait == MayWait::no) until = now_;
  port_.wait(until);
  now_ = port_.now();
  fire_timers();
  run_posted();
  run_ready();
}

void Loop::run_posted() {
  std::vector<std::move_only_function<void()>> batch;
  {
    const std::scoped_lock lock(posted_mutex_);
    batch.swap(posted_);
  }
  for (auto& fn : batch) fn();
}

// Runs what was ready when the turn began; what becomes ready meanwhile waits for the next turn, so
// that I/O is never starved.
void Loop::run_ready() {
  Waiter mark(*this);
  ready_.push(mark);
  while (&ready_.front() != &mark) {
    Waiter& waiter = ready_.front();
    waiter.unlink();
    waiter.handle_.resume();
  }
}

void Loop::fire_timers() {
  while (!heap_.empty() && heap_.front()->at_ <= now_) {
    Timer& timer = *heap_.front();
    timer.disarm();
    timer.fired_ = true;
    timer.waiter_.schedule();
  }
}

bool Loop::before(const Timer& a, const Timer& b) {
  return a.at_ != b.at_ ? a.at_ < b.at_ : a.order_ < b.order_;
}

void Loop::place(std::size_t i, Timer* timer) {
  heap_[i] = timer;
  timer->index_ = i;
}

void Loop::heap_up(std::size_t i) {
  Timer* timer = heap_[i];
  while (i > 0 && before(*timer, *heap_[(i - 1) / 2])) {
    place(i, heap_[(i - 1) / 2]);
    i = (i - 1) / 2;
  }
  place(i, timer);
}

void Loop::heap_down(std::size_t i) {
  Timer* timer = heap_[i];
  for (;;) {
    std::size_t child = 2 * i + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && before(*heap_[child + 1], *heap_[child])) ++child;
    if (!before(*heap_[child], *timer)) break;
    place(i, heap_[child]);
    i = child;
  }
  place(i, timer);
}

}  // namespace perigee::async
