// TCP's settings for paths of hundreds of milliseconds, on which a node talks to the others of its
// fleet. They hold for all that the host sends, and stay: other software may have come to rely on
// them.
#pragma once

#include <string>

#include "base/result.h"

namespace perigee::sys {

// What one connection may have under way, at most: about half of it is data, so that 16 MiB fill
// 300 ms at 200 Mbit/s. The kernel's own 4 MiB of send buffer stop at 74.
inline constexpr std::size_t kLongPathBuffer = std::size_t{16} * 1024 * 1024;

// Raises the upper bounds of TCP's buffers where they are lower, and lets a connection that has
// been idle go on as fast as it was: those that are kept warm for requests are idle in between.
// `root`: where /proc is looked for, for tests.
Result<void> prepare_for_long_paths(const std::string& root = "");

}  // namespace perigee::sys
