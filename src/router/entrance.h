// Whose a request is: by the host that it names, at the listeners that all apps share; by the
// address and port that it came to, where those are one app's alone. Pure.
#pragma once

#include <expected>
#include <string>

#include "http/message.h"
#include "router/error_page.h"
#include "routing/route_table.h"

namespace perigee::router {

inline constexpr int kHttpServicePort = 80;
inline constexpr int kHttpsServicePort = 443;

enum class Entrance { by_host, by_port };

// The host that the request names, normalized; empty: none.
std::string host_of(const http::Request& request);

using FoundOwner = std::expected<routing::PortOwner, Problem>;
// `domain`: apps are at <app>.<domain>.
FoundOwner find_by_host(const routing::RouteTable& table, const http::Request& request,
                        std::string_view domain);
FoundOwner find_by_port(const routing::RouteTable& table, const http::Request& request);

}  // namespace perigee::router
