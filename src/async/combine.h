// Waiting for more than one thing.
//
//   with_deadline(loop, deadline, task)  the task's Result, or deadline_exceeded (the task is then
//   cancelled) first_of(loop, a, b)                 whichever of two void tasks ends first; the
//   other is cancelled all_of(loop, tasks)                  all results in order, run concurrently
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "async/event.h"
#include "async/loop.h"
#include "base/result.h"

namespace perigee::async {

namespace detail {

// Awaits a task beside a timer; await_resume says whether the task ended.
template <typename T>
class [[nodiscard]] Race {
 public:
  Race(Loop& loop, Task<T>& task, std::optional<MonotonicTime> at)
      : waiter_(loop),
        timer_(waiter_),
        task_(task),
        at_(at),
        ender_(end(std::move(task_), *this)) {}

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> handle) {
    waiter_.set_handle(handle);
    ender_.start();
    if (finished_) return false;
    suspended_ = true;
    if (at_) timer_.arm(*at_);
    return true;
  }
  std::optional<T> await_resume() {
    if (!finished_) ender_.reset();
    return std::move(value_);
  }

 private:
  static Task<void> end(Task<T> task, Race& race) {
    race.value_.emplace(co_await std::move(task));
    race.finished_ = true;
    race.timer_.disarm();
    if (race.suspended_) race.waiter_.schedule();
  }
  Waiter waiter_;
  Timer timer_;
  Task<T>& task_;
  std::optional<MonotonicTime> at_;
  std::optional<T> value_;
  bool finished_ = false;
  bool suspended_ = false;
  Task<void> ender_;
};

}  // namespace detail

// `what` names the call in the error: "connect to 10.0.0.1:80: no answer in time".
template <typename T>
Task<Result<T>> with_deadline(Loop& loop, Deadline deadline, Task<Result<T>> task,
                              std::string_view what) {
  detail::Race<Result<T>> race(loop, task, deadline.at);
  std::optional<Result<T>> value = co_await race;
  if (!value) co_return fail(Code::deadline_exceeded, "{}: no answer in time", what);
  co_return *std::move(value);
}

// As with_deadline for any value: nullopt when the time is up first.
template <typename T>
Task<std::optional<T>> until(Loop& loop, MonotonicTime at, Task<T> task) {
  detail::Race<T> race(loop, task, at);
  co_return co_await race;
}

enum class Winner { first, second };

// Runs both; when one ends the other is cancelled.
Task<Winner> first_of(Loop& loop, Task<void> first, Task<void> second);

// Runs all concurrently, at most `limit` at a time; results in the order of `tasks`.
template <typename T>
Task<std::vector<T>> all_of(Loop& loop, std::vector<Task<T>> tasks, std::size_t limit = 64);

}  // namespace perigee::async

#include "async/combine_impl.h"
