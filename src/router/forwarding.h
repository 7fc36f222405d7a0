// What a proxy does to heads (RFC 9110 sections 7.6 and 7.8). Pure.
#pragma once

#include <string>
#include <string_view>

#include "http/message.h"
#include "model/port.h"

namespace perigee::router {

struct Hop {
  std::string client_ip;
  std::string request_id;
  std::string region;  // the router's
  int listener_port = 80;
  bool tls = false;
};

// Fields of this connection alone: those of section 7.6.1 and what Connection names. A client can't
// use Connection to take away fields that the message needs or that we vouch for.
void remove_hop_by_hop(http::Headers& headers);

// What goes on of the fields behind a body, either way.
http::Headers forwarded_trailers(const http::Headers& trailers);

// The request as the machine gets it. What we vouch for replaces what the client sent under those
// names: all that begin with perigee- or fly-, but for its own wishes (docs/headers.md);
// X-Forwarded-For and Via are appended to. TE: trailers goes on, as trailers do.
http::RequestHead upstream_request(const http::RequestHead& request, const Hop& hop);
// The response as the client gets it: with the app's rules for its fields.
http::ResponseHead downstream_response(const http::ResponseHead& response,
                                       std::string_view request_id,
                                       const model::HttpOptions& options = {});

}  // namespace perigee::router
