// Carries bytes between two streams, both ways at once and unread, until both have ended or one is
// broken. An end of one direction is passed on and leaves the other as it is.
#pragma once

#include <cstdint>

#include "async/loop.h"
#include "sys/network.h"

namespace perigee::backhaul {

// Counts the bytes to `near` into `bytes`. Both streams outlive the task.
async::Task<void> splice(async::Loop& loop, sys::Stream& near, sys::Stream& far,
                         std::uint64_t& bytes);

}  // namespace perigee::backhaul
