// Caller: which daemon of which node speaks on a Unix socket. A local one is known by its user id.
// One of another node comes through this node's `perigeed link`, which checked its certificate and
// says whose it was in these headers; nobody but root may send them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/id.h"
#include "http/message.h"

namespace perigee::api {

inline constexpr std::string_view kNodeHeader = "Perigee-Node";  // the caller's
inline constexpr std::string_view kCertificateHeader = "Perigee-Node-Certificate";
// "daemon" or "router"; without a node: of this one, whose link speaks for its router.
inline constexpr std::string_view kCallerHeader = "Perigee-Caller";
// To the link: whose worker, or whose control, a request is for.
inline constexpr std::string_view kToNodeHeader = "Perigee-To-Node";
inline constexpr std::string_view kToControlHeader = "Perigee-To-Control";
// In an answer: the link says so itself, for the daemon that was asked could not be reached.
inline constexpr std::string_view kNotReachedHeader = "Perigee-Not-Reached";

// User ids of this node.
struct LocalUsers {
  std::uint32_t own = 0;     // the asked daemon's, beside root
  std::uint32_t router = 0;  // the unprivileged router's
};

struct Caller {
  bool is_router = false;      // else a daemon of root's
  std::optional<NodeId> node;  // nullopt: of this node
  std::string certificate;     // fingerprint, of another node's
};

// permission_denied for anybody else.
Result<Caller> caller_of(const http::Request& request, const LocalUsers& users);

}  // namespace perigee::api
