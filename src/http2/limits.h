// Bounds of HTTP/2 connections, and how their windows follow from them
// (docs/decisions/0021-backhaul.md has the measurements, 0030-http2.md what users' bounds are for).
//
// A stream begins with a window that most objects fit into, and has it doubled while its reader
// keeps up: 8 MiB fill 300 ms at 220 Mbit/s, about what TCP's buffers let through there
// (src/sys/long_paths.h). Readers that don't keep up would fill the connection's window and so hold
// back the others. Therefore, where more than `unread_pressure` lies unread on a connection, its
// streams fall back to `least_window`, and new ones stay there. Between routers
//   unread_pressure + one path full of data (8 MiB) + max_streams * least_window
// fit into half of `connection_window` (the other half is what is read, but not yet given back): a
// slow reader holds back its own stream alone. A user's connection may have far less in memory:
// there slow readers of one user hold back that user's other streams.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"
#include "http/limits.h"

namespace perigee::http2 {

// At once, opened by the peer.
inline constexpr std::uint32_t kMaxStreams = 128;
inline constexpr std::size_t kMaxHeaderBytes = http::kMaxHeadBytes;  // names and values of a head
// Beyond that a head is decoded, as it must be, and not kept; beyond this the connection ends: a
// few bytes of HPACK may stand for any number of fields.
inline constexpr std::size_t kMaxIgnoredHeaderBytes = 4 * kMaxHeaderBytes;
inline constexpr std::size_t kMaxHeaderFields = http::kMaxHeaderFields;

inline constexpr std::size_t kWriteBatch = 64 * 1024;  // frames that go out in one write
inline constexpr std::size_t kReadBatch = 64 * 1024;
inline constexpr std::size_t kIdleRead = 2 * 1024;    // all that an idle connection reads into
inline constexpr std::size_t kPiece = 64 * 1024;      // of a request's body on its way
inline constexpr std::size_t kMaxUnsentAcks = 128;    // of pings and settings
inline constexpr std::size_t kMaxContinuations = 64;  // that nghttp2 bears
inline constexpr std::size_t kMaxPingsInFlight = 8;   // of ours

inline constexpr Duration kDrainNotice = 500ms;  // from the notice to the last request accepted

// How much of something a peer may do: a burst, then a rate.
struct Rate {
  std::uint32_t burst = 0;
  std::uint32_t per_second = 0;
};

// Frames that cost us more than they cost their sender, or bring nothing (RFC 9113 section 10.5).
struct FrameLimits {
  Rate resets{.burst = 500, .per_second = 50};  // by the peer (CVE-2023-44487)
  // Ours, which the peer's own mistakes made us send (CVE-2025-8671).
  Rate errors{.burst = 100, .per_second = 10};
  // Streams beyond those that it may have at once: some open many before they know how many.
  Rate refused{.burst = 1000, .per_second = 100};
  Rate pings{.burst = 100, .per_second = 20};
  Rate settings{.burst = 20, .per_second = 2};
  Rate empty{.burst = 100, .per_second = 10};   // no bytes, and not the end of anything
  Rate others{.burst = 500, .per_second = 50};  // PRIORITY, and what nobody knows
  Rate window_updates{.burst = 1000, .per_second = 100};
  std::uint32_t window_updates_per_data = 8;       // beside those, for each DATA frame of ours
  std::uint32_t continuations = 16;                // of one head
  std::uint32_t head_bytes = 2 * kMaxHeaderBytes;  // of one head, as it is compressed
};

struct Limits {
  std::uint32_t max_streams = kMaxStreams;
  std::uint32_t least_window = 64 * 1024;  // told in SETTINGS
  std::uint32_t first_window = 1024 * 1024;
  std::uint32_t max_window = 8 * 1024 * 1024;
  std::size_t unread_pressure = 4 * 1024 * 1024;
  std::uint32_t connection_window = 40 * 1024 * 1024;
  std::size_t send_buffer = 128 * 1024;  // of a stream, not yet in a frame
  // Beyond so much of all streams, each has `least_send_buffer`.
  std::size_t send_pressure = 16 * 1024 * 1024;
  std::size_t least_send_buffer = 16 * 1024;
  Rate resets{.burst = 2000, .per_second = 500};  // by the peer, that nghttp2 bears
  bool extended_connect = false;                  // RFC 8441, offered to clients
};

inline constexpr Limits kBetweenRouters{};
static_assert(kBetweenRouters.unread_pressure + kBetweenRouters.max_window +
                  std::size_t{kMaxStreams} * kBetweenRouters.least_window <=
              kBetweenRouters.connection_window / 2);
inline constexpr Duration kSilence = 15s;  // another router that says nothing for so long is gone

// To machines of this node: the path is short, and what an app does not read waits at its sender.
// Apps may allow fewer streams, which we know once they have said so.
inline constexpr Limits kToApps{.max_streams = 100, .connection_window = 16 * 1024 * 1024};
inline constexpr std::size_t kMaxConnectionsPerApp = 64;  // to one address

// From users. At most 2 MiB arrived and unread, and 2.5 MiB of answers, for each connection.
inline constexpr Limits kFromUsers{.max_streams = 100,
                                   .least_window = 64 * 1024,
                                   .first_window = 256 * 1024,
                                   .max_window = 1024 * 1024,
                                   .unread_pressure = 512 * 1024,
                                   .connection_window = 2 * 1024 * 1024,
                                   .send_buffer = 128 * 1024,
                                   .send_pressure = 1024 * 1024,
                                   .least_send_buffer = 16 * 1024,
                                   .extended_connect = true};
inline constexpr FrameLimits kUserFrames{};
inline constexpr Duration kUserPing = 30s;  // after so long a silence a user is asked for a sign,
inline constexpr Duration kUserSilence = 50s;  // and after this one taken for gone
inline constexpr Duration kUserWatch = 5s;     // between two looks at a connection's times

}  // namespace perigee::http2
