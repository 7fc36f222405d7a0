// TaskGroup: background work with an owner.
//
// A member of whatever starts the work. Destroying it cancels every task in it; `drained()` waits
// until all have ended. A task that ends is freed in a later turn of the loop. Tasks run on behalf
// of who made the group, whoever spawns them; `spawn_for` names another.
//
//   TaskGroup connections_{loop_, kMaxConnections};
//   if (!connections_.spawn(serve(std::move(stream)))) …   // full: refuse
#pragma once

#include <cstddef>
#include <list>

#include "async/loop.h"

namespace perigee::async {

class TaskGroup {
 public:
  static constexpr std::size_t kDefaultMax = 65536;

  explicit TaskGroup(Loop& loop, std::size_t max = kDefaultMax);
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  // Starts `task` now (it runs until its first suspension). False, and nothing runs, when full.
  bool spawn(Task<void> task) { return spawn_for(share_, std::move(task)); }
  bool spawn_for(ShareId share, Task<void> task);
  std::size_t size() const { return running_; }
  Task<void> drained();
  void cancel_all();

 private:
  struct Entry;
  static Task<void> wrap(TaskGroup& group, Entry& entry);
  static Task<void> reap(TaskGroup& group);

  Loop& loop_;
  ShareId share_;
  std::size_t max_;
  std::size_t running_ = 0;
  std::list<Entry> entries_;
  std::list<Entry> finished_;
  WaiterQueue reaper_waits_;
  WaiterQueue drain_waits_;
  Task<void> reaper_;
};

}  // namespace perigee::async
