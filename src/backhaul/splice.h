// Carries bytes between two streams, both ways at once and unread, until both have ended or one is
// broken. An end of one direction is passed on and leaves the other as it is; what one said before
// it stopped taking anything still arrives.
#pragma once

#include <cstdint>

#include "async/loop.h"
#include "sys/network.h"

namespace perigee::backhaul {

struct Traffic {
  std::uint64_t to_near = 0;  // bytes
  std::uint64_t to_far = 0;
};

// Counts into `traffic` as it goes. Both streams, and the counts, outlive the task.
async::Task<void> splice(async::Loop& loop, sys::Stream& near, sys::Stream& far, Traffic& traffic);

}  // namespace perigee::backhaul
