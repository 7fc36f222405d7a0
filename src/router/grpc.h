// What the router knows of gRPC calls (http2::is_grpc), by the gRPC project's "gRPC over HTTP2":
// how long one may take, and how it is refused so that its client understands. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "http/message.h"
#include "router/error_page.h"

namespace perigee::router::grpc {

// Those of the status codes that a router gives.
enum class Status {
  unknown = 2,
  deadline_exceeded = 4,
  permission_denied = 7,
  resource_exhausted = 8,
  unimplemented = 12,
  internal = 13,
  unavailable = 14,
};

// What `grpc-timeout` allows the whole call; nullopt without one that is well-formed.
std::optional<Duration> timeout(const http::Headers& request);

Status status_of(const Problem& problem);

// The problem as an answer without a body: status 200, the rest in the head ("Trailers-Only").
Page refusal(const Problem& problem, std::string_view request_id);

// How long a machine may take to begin its answer, and be silent in the midst of it. A call may
// rest for long: clients ping, and a machine that is gone ends its connections.
Duration patience(const http::Headers& request, Duration usual);

}  // namespace perigee::router::grpc
