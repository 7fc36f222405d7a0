// The template bodies of combine.h.
#pragma once

#include "async/combine.h"
#include "async/task_group.h"

namespace perigee::async {

namespace detail {

template <typename T>
Task<void> collect(Task<T> task, std::optional<T>& into, Semaphore& slots) {
  const Semaphore::Permit permit = co_await slots.acquire();
  into.emplace(co_await std::move(task));
}

}  // namespace detail

template <typename T>
Task<std::vector<T>> all_of(Loop& loop, std::vector<Task<T>> tasks, std::size_t limit) {
  std::vector<std::optional<T>> results(tasks.size());
  Semaphore slots(loop, limit);
  TaskGroup group(loop, tasks.size());
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    group.spawn(detail::collect(std::move(tasks[i]), results[i], slots));
  }
  co_await group.drained();
  std::vector<T> out;
  out.reserve(results.size());
  for (auto& result : results) out.push_back(*std::move(result));
  co_return out;
}

}  // namespace perigee::async
