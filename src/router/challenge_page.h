// The page by which a host proves to a certificate authority whose it is (HTTP-01, RFC 8555 section
// 8.3). Every router has it from the routes; it answers before the app does, and before any
// redirect to https. Pure.
#pragma once

#include <optional>
#include <string>

#include "http/message.h"
#include "routing/route_table.h"

namespace perigee::router {

// What is to be answered; nullopt: the request is not for such a page, or for one of the app's own.
std::optional<std::string> challenge_page(const routing::RouteTable& table,
                                          const http::Request& request);

}  // namespace perigee::router
