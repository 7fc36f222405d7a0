// Bounds of what runs between the routers of a fleet (docs/decisions/0021-backhaul.md has the
// measurements behind the numbers of connections).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace perigee::backhaul {

inline constexpr std::uint16_t kPort = 4282;

// Connections to one node.
inline constexpr std::size_t kIdleConnections = 1;  // kept to measure, and for the first request
inline constexpr std::size_t kBusyConnections = 4;  // while it is used
inline constexpr std::size_t kMaxConnections = 16;
inline constexpr std::size_t kStreamsPerConnection = 32;  // more are opened beyond it
inline constexpr Duration kBusyTime = 60s;                // from the last use
inline constexpr Duration kConnectTimeout = 2s;
inline constexpr Duration kFirstRedial = 100ms;  // then doubling
inline constexpr Duration kLastRedial = 5s;
inline constexpr Duration kDialWait = 1s;        // a request's, for a connection that is being made
inline constexpr Duration kCapacityPoll = 20ms;  // while all streams of all connections are taken

// Signs of life. A node that is dead is noticed kSuspect after its last one at the latest.
inline constexpr Duration kPingInterval = 500ms;
inline constexpr Duration kSuspect = 1500ms;  // no answer for so long: no new requests
inline constexpr Duration kDead = 5s;         // those on it fail

// An unreachable node is reached through one other.
inline constexpr int kMaxRelays = 1;
inline constexpr Duration kRelayAvoided = 1s;  // after it could not reach the node either

// Tunnels: TCP connections that end at a machine.
inline constexpr std::size_t kSpareTunnels = 2;  // connected ahead, while tunnels are used
inline constexpr std::size_t kSpliceBuffer = 64 * 1024;
inline constexpr std::uint64_t kSpliceAfter = 1024 * 1024;  // bytes, then in the kernel
inline constexpr Duration kSpliceLinger = 5s;  // for what was said by one that takes no more

// Users' datagrams. Of Ethernet's 1500 bytes IPv4 and UDP leave this many: what comes in one piece
// to a router crosses, in two packets where the mesh's are smaller.
inline constexpr std::size_t kMaxDatagram = 1472;
inline constexpr std::size_t kDatagramBurst = 32;  // taken before others have their turn
inline constexpr Duration kReopen = 250ms;         // after a socket that could not be bound

// The server.
inline constexpr std::size_t kMaxInbound = 16384;       // connections, tunnels included
inline constexpr Duration kGreeting = kBusyTime + 30s;  // to its first bytes; spares have none
inline constexpr Duration kLastGreeting = 500ms;        // the same, once nothing more is accepted
inline constexpr Duration kAcceptPause = 50ms;          // after a failed accept
inline constexpr std::size_t kMaxNameBytes = 256;       // of a name in a hop's fields

// Loads (load_feed.h).
inline constexpr std::size_t kMaxFollowed = 64;  // nodes at once
inline constexpr Duration kRefollow = 500ms;     // after a stream that ended
inline constexpr Duration kTellInterval = 50ms;  // between two tellings, where it is all the time

}  // namespace perigee::backhaul
