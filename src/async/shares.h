// Shares: how much of a loop's time each client has had of late. While a loop has more to do than
// it can, who had little goes first: a client that asks for much waits for itself, not others for
// it.
//
// Stochastic fairness queueing (McKenney, INFOCOM 1990) of time instead of packets: a client is a
// hash, kSlots of them, so that the table has no end to grow to; two that meet in one slot count as
// one. What was used is halved each kEpoch. Levels as of a multi-level feedback queue: each next
// one had twice as much.
// Belongs to a Loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/time.h"

namespace perigee::async {

// On whose behalf a coroutine runs.
using ShareId = std::uint16_t;
inline constexpr ShareId kOwnShare = 0;  // the program's own work, before every client's

class Shares {
 public:
  static constexpr std::size_t kSlots = 1024;
  static constexpr std::size_t kLevels = 8;
  static constexpr Duration kEpoch = 100ms;
  static constexpr Duration kFirstLevel = 500us;  // used, at most

  // `client`: any number that is a client's own, such as a hash of its address.
  static ShareId of(std::uint64_t client);
  void charge(ShareId share, Duration used, MonotonicTime now);
  // 0: goes first.
  std::size_t level(ShareId share, MonotonicTime now) const;

 private:
  struct Slot {
    Duration used{};
    std::int64_t epoch = 0;
  };
  static Duration left_of(const Slot& slot, std::int64_t epoch);

  std::vector<Slot> slots_;  // empty until something is charged
};

}  // namespace perigee::async
