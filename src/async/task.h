// Task<T>: a lazy coroutine with one owner.
//
// It starts when it is awaited (or given to a TaskGroup, or to Loop::run) and runs on the awaiter's
// thread. Destroying a Task that is suspended cancels it: its frame and everything it waits for go
// away, innermost first. A Task never throws: an exception that reaches its end is a bug and
// aborts.
//
// Rules of the house: a coroutine is a function, not a capturing lambda; it takes its arguments by
// value, or by reference to something that its owner keeps longer than the task.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "async/frame_pool.h"
#include "base/check.h"

namespace perigee::async {

template <typename T>
class Task;

namespace detail {

struct PromiseBase {
  static void* operator new(std::size_t size) { return FramePool::of_thread().take(size); }
  static void operator delete(void* frame, std::size_t size) {
    FramePool::of_thread().give(frame, size);
  }

  std::coroutine_handle<> continuation = std::noop_coroutine();

  struct Final {
    bool await_ready() const noexcept { return false; }
    template <typename P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> handle) const noexcept {
      return handle.promise().continuation;
    }
    void await_resume() const noexcept {}
  };
  std::suspend_always initial_suspend() const noexcept { return {}; }
  Final final_suspend() const noexcept { return {}; }
  [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
};

template <typename T>
struct Promise : PromiseBase {
  std::optional<T> value;
  Task<T> get_return_object() noexcept;
  template <typename U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
  T take() { return *std::move(value); }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void take() const noexcept {}
};

}  // namespace detail

template <typename T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Task() = default;
  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      reset();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  ~Task() { reset(); }

  explicit operator bool() const { return static_cast<bool>(handle_); }
  bool done() const { return handle_ && handle_.done(); }
  // Runs until its first suspension, with nobody waiting for its end.
  void start() { handle_.resume(); }
  // As start, resuming `continuation` (by symmetric transfer) when done.
  void start_then(std::coroutine_handle<> continuation) {
    handle_.promise().continuation = continuation;
    handle_.resume();
  }
  T take() && {
    PERIGEE_CHECK(done());
    return handle_.promise().take();
  }
  void reset() {
    if (handle_) std::exchange(handle_, {}).destroy();
  }

  auto operator co_await() && noexcept {
    struct Awaiter {
      Handle handle;
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) const noexcept {
        handle.promise().continuation = awaiting;
        return handle;
      }
      T await_resume() const { return handle.promise().take(); }
    };
    return Awaiter{handle_};
  }

 private:
  Handle handle_;
};

namespace detail {

template <typename T>
Task<T> Promise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<Promise>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
}

}  // namespace detail
}  // namespace perigee::async
