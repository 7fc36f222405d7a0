// Bounds of HTTP connections. Everything that a peer can make grow has one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace perigee::http {

inline constexpr std::size_t kMaxHeadBytes = 64 * 1024;
inline constexpr std::size_t kMaxTargetBytes = 16 * 1024;
inline constexpr std::size_t kMaxHeaderFields = 128;
inline constexpr std::size_t kMaxChunkHeaderBytes = 256;
inline constexpr std::size_t kMaxMethodBytes = 32;
inline constexpr std::size_t kMaxTrailerBytes = 8 * 1024;
inline constexpr std::size_t kReadChunk = 64 * 1024;
inline constexpr std::size_t kHeadRead = 8 * 1024;       // one read while a head is awaited
inline constexpr std::size_t kMaxPipelined = 64 * 1024;  // read ahead of the handler
inline constexpr int kMaxInterimResponses = 16;          // 1xx before the final response
inline constexpr std::size_t kMaxDrain = 256 * 1024;     // unread body discarded to keep alive
inline constexpr Duration kLingerTime = 1s;              // for the peer to read the last answer

struct ServerLimits {
  std::size_t max_connections = 16384;
  std::size_t max_per_client = 0;             // connections (client_slots.h); 0: no bound
  std::size_t max_handshakes_per_client = 0;  // of TLS, at once; likewise
  Duration head_timeout = 10s;       // from the first byte of a request to the end of its head
  Duration idle_timeout = 75s;       // between requests
  Duration handshake_timeout = 10s;  // TLS
  Duration write_timeout = 60s;      // one write to a client that does not read
  Duration body_timeout = 60s;       // between two reads of a request body
};

struct ClientLimits {
  Duration connect_timeout = 5s;
  Duration idle_timeout = 30s;             // a pooled connection's life between uses
  std::size_t max_idle_per_address = 256;  // of pooled connections
  std::size_t max_idle = 4096;             // likewise, to all addresses
};

}  // namespace perigee::http
