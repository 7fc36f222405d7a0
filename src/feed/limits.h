// Bounds of a followed feed.
#pragma once

#include <cstddef>

#include "base/time.h"

namespace perigee::feed {

inline constexpr std::size_t kMaxLine = std::size_t{16} * 1024 * 1024;
inline constexpr std::size_t kMaxKeys = 1'000'000;  // of one snapshot
inline constexpr Duration kSilence = 15s;           // a feed that says nothing for longer is lost
inline constexpr Duration kFirstRetry = 50ms;
inline constexpr Duration kLastRetry = 1s;

}  // namespace perigee::feed
