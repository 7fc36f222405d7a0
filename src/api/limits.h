// Bounds of the APIs.
#pragma once

#include <cstddef>

#include "base/time.h"

namespace perigee::api {

inline constexpr std::size_t kMaxBodyBytes = 1024 * 1024;
inline constexpr std::size_t kMaxTokenBytes = 4096;
inline constexpr Duration kEventKeepAlive = 15s;

}  // namespace perigee::api
