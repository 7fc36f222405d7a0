// IdleConnections: the connections of a server that wait for a request. Each costs its place in a
// list: no buffer, no timer, no coroutine but the connection's own.
//
//   while (input.empty()) {
//     if (!co_await idle.wait(stream)) co_return;   // its time is up, or the server drains
//     …                                             // something may have come
//   }
//
// `run` belongs to the server and ends those whose time is up. On the loop's thread.
#pragma once

#include <coroutine>

#include "async/event.h"
#include "base/time.h"
#include "sys/network.h"

namespace perigee::http {

class IdleConnections {
 public:
  IdleConnections(async::Loop& loop, Duration timeout)
      : loop_(loop), timeout_(timeout), first_came_(loop) {}

  class Wait;
  Wait wait(sys::Stream& stream);
  // Never ends.
  async::Task<void> run();
  // Ends all waits, those to come too.
  void end_all();

 private:
  void add(Wait& wait);
  void remove(Wait& wait);

  async::Loop& loop_;
  Duration timeout_;
  async::Notify first_came_;
  bool ended_ = false;
  Wait* oldest_ = nullptr;
  Wait* newest_ = nullptr;
};

class [[nodiscard]] IdleConnections::Wait {
 public:
  Wait(IdleConnections& all, sys::Stream& stream)
      : all_(all), stream_(stream), waiter_(all.loop_), since_(all.loop_.now()) {}
  ~Wait() {
    if (listed_) all_.remove(*this);
  }
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;

  bool await_ready() const noexcept { return all_.ended_; }
  void await_suspend(std::coroutine_handle<> handle) {
    waiter_.set_handle(handle);
    all_.add(*this);
    stream_.when_readable(waiter_);
  }
  bool await_resume() {
    if (listed_) all_.remove(*this);
    return !ended_ && !all_.ended_;
  }

 private:
  friend class IdleConnections;
  void end() {
    ended_ = true;
    waiter_.schedule();
  }

  IdleConnections& all_;
  sys::Stream& stream_;
  async::Waiter waiter_;
  MonotonicTime since_;
  bool ended_ = false;
  bool listed_ = false;
  Wait* older_ = nullptr;
  Wait* newer_ = nullptr;
};

inline IdleConnections::Wait IdleConnections::wait(sys::Stream& stream) {
  return {*this, stream};
}

}  // namespace perigee::http
