// The small synchronisation pieces of one loop: wait in a queue, Event (a latch), Notify (wake all
// who wait now), Mailbox<T> (a bounded queue between coroutines), Semaphore (bounded concurrency).
// All belong to one thread; across threads use Loop::post.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "async/loop.h"

namespace perigee::async {

class [[nodiscard]] QueueWait {
 public:
  QueueWait(Loop& loop, WaiterQueue& queue) : waiter_(loop), queue_(queue) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    waiter_.set_handle(handle);
    queue_.push(waiter_);
  }
  void await_resume() const noexcept {}

 private:
  Waiter waiter_;
  WaiterQueue& queue_;
};

// Suspends until somebody wakes the queue. May wake without cause: loop around a condition.
inline QueueWait wait_in(Loop& loop, WaiterQueue& queue) {
  return {loop, queue};
}

// Set once, stays set.
class Event {
 public:
  explicit Event(Loop& loop) : loop_(loop), waits_(loop) {}
  bool is_set() const { return set_; }
  void set() {
    set_ = true;
    waits_.wake_all();
  }
  Task<void> wait() {
    while (!set_) co_await wait_in(loop_, waits_);
  }

 private:
  Loop& loop_;
  bool set_ = false;
  WaiterQueue waits_;
};

// Wakes everyone who waits at this moment.
class Notify {
 public:
  explicit Notify(Loop& loop) : loop_(loop), waits_(loop) {}
  void notify_all() { waits_.wake_all(); }
  QueueWait wait() { return wait_in(loop_, waits_); }
  void add(Waiter& waiter) { waits_.push(waiter); }  // scheduled by the next notify_all

 private:
  Loop& loop_;
  WaiterQueue waits_;
};

// A bounded queue. `push` says no when full; `pop` waits; after `close`, pop drains and then ends.
template <typename T>
class Mailbox {
 public:
  Mailbox(Loop& loop, std::size_t max) : loop_(loop), max_(max), waits_(loop) {}
  bool push(T value) {
    if (closed_ || items_.size() >= max_) return false;
    items_.push_back(std::move(value));
    waits_.wake_one();
    return true;
  }
  Task<std::optional<T>> pop() {
    while (items_.empty() && !closed_) co_await wait_in(loop_, waits_);
    if (items_.empty()) co_return std::nullopt;
    T value = std::move(items_.front());
    items_.pop_front();
    if (!items_.empty()) waits_.wake_one();
    co_return std::optional<T>(std::move(value));
  }
  void close() {
    closed_ = true;
    waits_.wake_all();
  }
  std::size_t size() const { return items_.size(); }

 private:
  Loop& loop_;
  std::size_t max_;
  std::deque<T> items_;
  bool closed_ = false;
  WaiterQueue waits_;
};

// At most `permits` holders at a time. A permit is given back by its destructor.
class Semaphore {
 public:
  Semaphore(Loop& loop, std::size_t permits) : loop_(loop), free_(permits), waits_(loop) {}

  class Permit {
   public:
    explicit Permit(Semaphore* owner) : owner_(owner) {}
    Permit(Permit&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {}
    Permit& operator=(Permit&&) = delete;
    ~Permit() {
      if (owner_ != nullptr) owner_->give_back();
    }

   private:
    Semaphore* owner_;
  };

  Task<Permit> acquire() {
    while (free_ == 0) co_await wait_in(loop_, waits_);
    --free_;
    co_return Permit(this);
  }

 private:
  void give_back() {
    ++free_;
    waits_.wake_one();
  }
  Loop& loop_;
  std::size_t free_;
  WaiterQueue waits_;
};

}  // namespace perigee::async
