// Loop: one per thread; runs ready coroutines and due timers, and waits for more.
//
// The loop knows no file descriptors and no clock of its own: it asks its EventPort, which is epoll
// in production (sys/epoll_port.h) and virtual time in a simulation (sim/virtual_port.h). Time
// as the loop tells it changes only when the loop waits, so that a turn sees one instant.
//
// Everything waits through a Waiter: an intrusive node in an awaiter. Destroying the awaiter
// (because its coroutine is destroyed) takes it out of whatever queue it stands in; that is all
// that cancellation is.
//
// What is ready runs in the order in which it became so, until a turn lasts kBusyTurn; from then on
// and for kFairFor the loop is fair: who had little of its time of late runs first, and a turn ends
// after kFairTurn, so that it sees what else has become ready (shares.h). A coroutine runs on
// behalf of a share: its task group's, or the one that its start was given; what it starts or
// awaits does, too.
//
// Thread: an object of its thread, `post` and `stop` aside, which any thread may call.
#pragma once

#include <array>
#include <coroutine>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "async/shares.h"
#include "async/task.h"
#include "base/time.h"

namespace perigee::async {

// Where a loop gets time and events from.
class EventPort {
 public:
  virtual ~EventPort() = default;
  virtual MonotonicTime now() = 0;
  // Blocks until something happened (I/O, wake) or until `until`; forever without it. What happened
  // is delivered by scheduling waiters. Returns at once where `until` is in the past.
  virtual void wait(std::optional<MonotonicTime> until) = 0;
  // Ends a wait from any thread.
  virtual void wake() = 0;
};

class Loop;

// A suspended coroutine in at most one queue. Neither copied nor moved.
class Waiter {
 public:
  explicit Waiter(Loop& loop) : loop_(loop) {}
  ~Waiter() { unlink(); }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  void set_handle(std::coroutine_handle<> handle);  // on behalf of who runs now
  void schedule();  // resume in this or the next turn of the loop; idempotent
  bool linked() const { return next_ != nullptr; }
  void unlink();
  Loop& loop() const { return loop_; }

 private:
  friend class Loop;
  friend class WaiterQueue;
  Loop& loop_;
  std::coroutine_handle<> handle_;
  Waiter* next_ = nullptr;
  Waiter* previous_ = nullptr;
  ShareId share_ = kOwnShare;
};

// FIFO of waiters; a circular list around a sentinel.
class WaiterQueue {
 public:
  explicit WaiterQueue(Loop& loop) : head_(loop) { head_.next_ = head_.previous_ = &head_; }
  ~WaiterQueue() { clear(); }
  bool empty() const { return head_.next_ == &head_; }
  void push(Waiter& waiter);
  Waiter& front() { return *head_.next_; }
  void wake_one();
  void wake_all();
  void clear();

 private:
  friend class Loop;
  Waiter head_;
};

// A point in time that a waiter waits for; in the loop's heap while armed.
class Timer {
 public:
  explicit Timer(Waiter& waiter) : waiter_(waiter) {}
  ~Timer() { disarm(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  void arm(MonotonicTime at);
  void disarm();
  bool fired() const { return fired_; }

 private:
  friend class Loop;
  Waiter& waiter_;
  MonotonicTime at_;
  std::uint64_t order_ = 0;
  std::size_t index_ = kDisarmed;
  bool fired_ = false;
  static constexpr std::size_t kDisarmed = static_cast<std::size_t>(-1);
};

class Loop {
 public:
  static constexpr Duration kBusyTurn = 1ms;
  static constexpr Duration kFairTurn = 250us;
  static constexpr Duration kFairFor = 100ms;

  explicit Loop(EventPort& port);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  MonotonicTime now() const { return now_; }
  Deadline deadline_in(Duration d) const { return Deadline{now_ + d}; }
  EventPort& port() { return port_; }

  // Runs the loop until `task` is done. Other tasks run meanwhile and stay suspended afterwards.
  template <typename T>
  T run(Task<T> task);
  // Runs `fn` on this loop's thread, soon. Any thread.
  void post(std::move_only_function<void()> fn);

  class Sleep;
  Sleep sleep(Duration d);
  Sleep sleep_until(MonotonicTime at);
  Sleep yield();  // lets everything else that is ready run first

  // On whose behalf the running coroutine is.
  ShareId share() const { return share_; }

  // One pass: waits for events if nothing is ready (unless `may_wait` is no), then runs what is
  // ready.
  enum class MayWait { no, yes };
  void turn(MayWait may_wait);

 private:
  friend class Waiter;
  friend class Timer;
  friend class OnBehalfOf;
  void run_ready();
  void run_in_order();
  void run_fairly();
  void sort_by_share();
  void resume(Waiter& waiter);
  void run_posted();
  void fire_timers();
  void heap_up(std::size_t i);
  void heap_down(std::size_t i);
  void place(std::size_t i, Timer* timer);
  static bool before(const Timer& a, const Timer& b);

  EventPort& port_;
  MonotonicTime now_;
  WaiterQueue ready_;
  ShareId share_ = kOwnShare;
  Shares shares_;
  std::array<WaiterQueue, Shares::kLevels> levels_;  // what is ready, while fair
  bool levelled_ = false;                            // there may be some
  MonotonicTime fair_until_;
  MonotonicTime sorted_at_;
  std::vector<Timer*> heap_;
  std::uint64_t next_order_ = 0;
  std::mutex posted_mutex_;
  std::vector<std::move_only_function<void()>> posted_;
};

// What runs in this scope does so on behalf of `share`.
class [[nodiscard]] OnBehalfOf {
 public:
  OnBehalfOf(Loop& loop, ShareId share) : loop_(loop), before_(std::exchange(loop.share_, share)) {}
  ~OnBehalfOf() { loop_.share_ = before_; }
  OnBehalfOf(const OnBehalfOf&) = delete;
  OnBehalfOf& operator=(const OnBehalfOf&) = delete;

 private:
  Loop& loop_;
  ShareId before_;
};

inline void Waiter::set_handle(std::coroutine_handle<> handle) {
  handle_ = handle;
  share_ = loop_.share_;
}

class [[nodiscard]] Loop::Sleep {
 public:
  Sleep(Loop& loop, MonotonicTime at) : waiter_(loop), timer_(waiter_), at_(at) {}
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    waiter_.set_handle(handle);
    if (at_ <= waiter_.loop().now())
      waiter_.schedule();
    else
      timer_.arm(at_);
  }
  void await_resume() const noexcept {}

 private:
  Waiter waiter_;
  Timer timer_;
  MonotonicTime at_;
};

inline Loop::Sleep Loop::sleep(Duration d) {
  return {*this, now_ + d};
}
inline Loop::Sleep Loop::sleep_until(MonotonicTime at) {
  return {*this, at};
}
inline Loop::Sleep Loop::yield() {
  return {*this, now_};
}

template <typename T>
T Loop::run(Task<T> task) {
  task.start();
  while (!task.done()) turn(MayWait::yes);
  return std::move(task).take();
}

}  // namespace perigee::async
