// Bounds of HTTP/2 connections between routers, and how its windows follow from them
// (docs/decisions/0021-backhaul.md has the measurements).
//
// A stream begins with a window that most objects fit into, and has it doubled while its reader
// keeps up: 8 MiB fill 300 ms at 220 Mbit/s, about what TCP's buffers let through there
// (src/sys/long_paths.h). Readers that don't keep up would fill the connection's window and so hold
// back the others. Therefore, where more than kUnreadPressure lies unread on a connection, its
// streams fall back to kLeastWindow, and new ones stay there:
//   kUnreadPressure + one path full of data (8 MiB) + kMaxStreams * kLeastWindow
// fit into half of kConnectionWindow (the other half is what is read, but not yet given back): a
// slow reader holds back its own stream alone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"
#include "http/limits.h"

namespace perigee::http2 {

inline constexpr std::uint32_t kMaxStreams = 128;                    // at once, opened by the peer
inline constexpr std::size_t kMaxHeaderBytes = http::kMaxHeadBytes;  // names and values of a head
inline constexpr std::size_t kMaxHeaderFields = http::kMaxHeaderFields;

inline constexpr std::uint32_t kLeastWindow = 64 * 1024;
inline constexpr std::uint32_t kFirstWindow = 1024 * 1024;
inline constexpr std::uint32_t kMaxWindow = 8 * 1024 * 1024;
inline constexpr std::size_t kUnreadPressure = 4 * 1024 * 1024;
inline constexpr std::uint32_t kConnectionWindow = 40 * 1024 * 1024;
static_assert(kUnreadPressure + kMaxWindow + kMaxStreams * kLeastWindow <= kConnectionWindow / 2);

inline constexpr std::size_t kSendBuffer = 128 * 1024;  // of a stream, not yet in a frame
inline constexpr std::size_t kWriteBatch = 64 * 1024;   // frames that go out in one write
inline constexpr std::size_t kReadBatch = 64 * 1024;
inline constexpr std::size_t kPiece = 64 * 1024;  // of a request's body on its way

// Resets by the peer that are borne: a burst, then a rate (CVE-2023-44487).
inline constexpr std::uint64_t kResetBurst = 2000;
inline constexpr std::uint64_t kResetsPerSecond = 500;
inline constexpr std::size_t kMaxUnsentAcks = 128;   // of pings and settings
inline constexpr std::size_t kMaxPingsInFlight = 8;  // of ours

inline constexpr Duration kSilence = 15s;        // a server closes what says nothing for so long
inline constexpr Duration kDrainNotice = 500ms;  // from the notice to the last request accepted

}  // namespace perigee::http2
