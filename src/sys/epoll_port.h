// EpollPort: the EventPort of production. Edge-triggered epoll and CLOCK_MONOTONIC.
//
//   FdWatch watch(port, loop, fd);            // once per descriptor
//   n = recv(fd…); if EAGAIN: co_await watch.readable(); …
//
// One reader and one writer may wait on a watch. `readable` returns at once if an edge arrived
// since the last wait, so callers loop: try, and wait only after EAGAIN.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "async/loop.h"
#include "base/result.h"
#include "sys/fd.h"

namespace perigee::sys {

class FdWatch;

class EpollPort : public async::EventPort {
 public:
  static Result<std::unique_ptr<EpollPort>> open();
  ~EpollPort() override;

  MonotonicTime now() override;
  void wait(std::optional<MonotonicTime> until) override;
  void wake() override;

 private:
  friend class FdWatch;
  EpollPort(Fd epoll, Fd wake_fd);
  std::uint32_t add(FdWatch* watch);

  Fd epoll_;
  Fd wake_;
  // Slots instead of pointers in epoll's data: an event that was fetched before its watch went away
  // finds an empty or newer slot.
  struct Slot {
    FdWatch* watch = nullptr;
    std::uint32_t generation = 0;
  };
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
};

// Readiness of one descriptor. Must go away before its descriptor is closed.
class FdWatch {
 public:
  FdWatch(EpollPort& port, async::Loop& loop, int fd);
  ~FdWatch();
  FdWatch(const FdWatch&) = delete;
  FdWatch& operator=(const FdWatch&) = delete;

  class [[nodiscard]] Wait {
   public:
    Wait(async::Loop& loop, async::WaiterQueue& queue, bool& ready)
        : waiter_(loop), queue_(queue), ready_(ready) {}
    bool await_ready() const noexcept { return ready_; }
    void await_suspend(std::coroutine_handle<> handle) {
      waiter_.set_handle(handle);
      queue_.push(waiter_);
    }
    void await_resume() const noexcept { ready_ = false; }

   private:
    async::Waiter waiter_;
    async::WaiterQueue& queue_;
    bool& ready_;
  };
  // Whether an edge has arrived since it was last asked, or waited for.
  bool take_read_edge() { return std::exchange(read_ready_, false); }
  // The peer has ended, or the descriptor is broken: reads say so behind what is left.
  bool hung_up() const { return hung_up_; }
  bool read_edge() const { return read_ready_; }
  void when_readable(async::Waiter& waiter) { readers_.push(waiter); }
  Wait readable() { return {loop_, readers_, read_ready_}; }
  Wait writable() { return {loop_, writers_, write_ready_}; }

 private:
  friend class EpollPort;
  void deliver(std::uint32_t events);

  EpollPort& port_;
  async::Loop& loop_;
  int fd_;
  std::uint32_t slot_ = 0;
  bool read_ready_ = false;
  bool write_ready_ = false;
  bool hung_up_ = false;
  async::WaiterQueue readers_;
  async::WaiterQueue writers_;
};

}  // namespace perigee::sys
