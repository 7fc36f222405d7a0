#include "async/combine.h"

#include <optional>

namespace perigee::async {
namespace {

// Awaits two tasks; resumes when one has ended, and takes the other away.
class [[nodiscard]] Either {
 public:
  Either(Loop& loop, Task<void> first, Task<void> second)
      : waiter_(loop),
        first_(end(std::move(first), *this, Winner::first)),
        second_(end(std::move(second), *this, Winner::second)) {}

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> handle) {
    waiter_.set_handle(handle);
    first_.start();
    if (!winner_) second_.start();
    suspended_ = !winner_.has_value();
    return suspended_;
  }
  Winner await_resume() {
    first_.reset();
    second_.reset();
    return *winner_;
  }

 private:
  static Task<void> end(Task<void> task, Either& either, Winner who) {
    co_await std::move(task);
    if (either.winner_) co_return;
    either.winner_ = who;
    if (either.suspended_) either.waiter_.schedule();
  }

  Waiter waiter_;
  std::optional<Winner> winner_;
  bool suspended_ = false;
  Task<void> first_;
  Task<void> second_;
};

}  // namespace

Task<Winner> first_of(Loop& loop, Task<void> first, Task<void> second) {
  co_return co_await Either(loop, std::move(first), std::move(second));
}

}  // namespace perigee::async
