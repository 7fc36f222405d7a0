// ChangeSignal: "somebody's status changed", with a memory: who was busy when it was raised finds
// that `count` differs from the one it saw.
#pragma once

#include <cstdint>

#include "async/event.h"

namespace perigee::worker {

class ChangeSignal {
 public:
  explicit ChangeSignal(async::Loop& loop) : raised_(loop) {}
  void raise() {
    ++count_;
    raised_.notify_all();
  }
  std::uint64_t count() const { return count_; }
  async::Task<void> wait_beyond(std::uint64_t seen) {
    while (count_ == seen) co_await raised_.wait();
  }

 private:
  std::uint64_t count_ = 0;
  async::Notify raised_;
};

}  // namespace perigee::worker
