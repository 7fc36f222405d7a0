// Bounds of the link.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace perigee::link {

inline constexpr std::uint16_t kPort = 4281;
inline constexpr std::size_t kMaxRelayedBody = std::size_t{32} * 1024 * 1024;  // of a request
inline constexpr Duration kConnect = 2s;         // to one address of another node, with TLS
inline constexpr Duration kAnswer = 30s;         // for the head of an answer
inline constexpr Duration kNextControl = 4s;     // for the same, where another control may be asked
inline constexpr Duration kOwnControlLook = 2s;  // while others are asked in its place
inline constexpr Duration kJoinRetry = 500ms;    // while this node's control is not up
inline constexpr Duration kJoinPatience = 60s;
inline constexpr Duration kRenewalLook = 3600s;  // at least so often
inline constexpr Duration kRenewalRetry = 60s;
inline constexpr Duration kKeyLook = 3600s;    // at least so often: is the WireGuard key due?
inline constexpr Duration kKeyRetry = 5s;      // of a step to a new one
inline constexpr Duration kKeySettling = 60s;  // at most, for other nodes to take it up
inline constexpr Duration kKeySettlePoll = 200ms;
inline constexpr std::size_t kMaxJoinAnswer = std::size_t{4} * 1024 * 1024;

}  // namespace perigee::link
