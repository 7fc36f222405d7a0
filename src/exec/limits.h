// Bounds of the exec stream. Both sides refuse what goes beyond.
#pragma once

#include <cstddef>

#include "base/time.h"

namespace perigee::exec {

inline constexpr std::size_t kMaxFrame = std::size_t{64} * 1024;  // payload bytes of one frame
inline constexpr std::size_t kMaxChunk = std::size_t{16} * 1024;  // of input or output that we send
inline constexpr std::size_t kMaxWords = 1024;                    // of a command
inline constexpr Duration kStartTimeout = 10s;                    // from the connection to Start

}  // namespace perigee::exec
