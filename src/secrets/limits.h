// Bounds of sealing.
#pragma once

#include <cstddef>

namespace perigee::secrets {

inline constexpr std::size_t kMaxKeys = 64;  // of a ring: the primary and those not retired yet
inline constexpr std::size_t kMaxKeyFileBytes = 64 * 1024;
inline constexpr std::size_t kMaxKeyIdBytes = 32;
inline constexpr std::size_t kMaxPlainBytes = 512 * 1024;

}  // namespace perigee::secrets
