// Bounds and constants of the simulated machines.
#pragma once

#include <cstddef>

#include "base/time.h"

namespace perigee::sim {

inline constexpr std::size_t kMaxNodes = 4096;            // 10.77.0.1, 10.77.0.2, …
inline constexpr std::size_t kStreamWindow = 256 * 1024;  // unless a link has another
inline constexpr std::size_t kMaxSegment = 16 * 1024;     // bytes that arrive together
inline constexpr std::size_t kAcceptBacklog = 128;        // connections nobody accepted yet
inline constexpr std::size_t kMaxInbox = 1024;            // datagrams nobody received yet
inline constexpr Duration kRetransmitTimeout = 200ms;     // what a lost stream segment costs
inline constexpr Duration kUnansweredTimeout = 15s;       // then a stream gives up
inline constexpr Duration kLocalDelay = 20us;             // within one node

}  // namespace perigee::sim
