// What the router answers itself: a page that names the app, the reason and the request, as HTML
// for browsers, as a gRPC status for gRPC calls, and JSON for everyone else.
#pragma once

#include <string>
#include <string_view>

#include "http/message.h"

namespace perigee::router {

struct Problem {
  int status = 502;
  std::string code{};    // stable, snake_case: "unknown_app"
  std::string reason{};  // a sentence
  bool retry_soon = false;
  bool may_have_acted = false;  // a machine may have got the request
};

struct Page {
  http::ResponseHead head;
  std::string body;
};

// `app` may be empty (unknown).
Page error_page(const Problem& problem, std::string_view app, std::string_view request_id,
                const http::Headers& request);

}  // namespace perigee::router
