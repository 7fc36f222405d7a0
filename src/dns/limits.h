// Every bound of the names that machines ask for.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace perigee::dns {

inline constexpr std::size_t kMaxName = 253;         // characters, without the last dot
inline constexpr std::size_t kPlainAnswer = 512;     // bytes by UDP without EDNS0
inline constexpr std::size_t kMaxUdpAnswer = 1232;   // with it: fits every path of IPv6
inline constexpr std::size_t kMaxMessage = 65535;    // by TCP
inline constexpr std::uint32_t kTtl = 5;             // seconds: machines come and go
inline constexpr std::size_t kMaxText = 255;         // of one string of a TXT record
inline constexpr std::size_t kMaxAsked = 256;        // queries under way to other resolvers
inline constexpr std::size_t kMaxConnections = 128;  // by TCP
inline constexpr Duration kAskTimeout = 2s;          // of one resolver; then the next one
inline constexpr Duration kConnectionTimeout = 10s;  // of a whole exchange by TCP

}  // namespace perigee::dns
