#include "router/entrance.h"

#include <fmt/format.h>

namespace perigee::router {

std::string host_of(const http::Request& request) {
  const std::string_view* host = request.head.headers.find("host");
  return host == nullptr ? std::string() : routing::normal_host(*host);
}

FoundOwner find_by_host(const routing::RouteTable& table, const http::Request& request,
                        std::string_view domain) {
  const std::string host = host_of(request);
  if (host.empty()) {
    return std::unexpected(
        Problem{.status = 400,
                .code = "no_host",
                .reason = "The request has no Host header, which names the app."});
  }
  const routing::RoutePtr route = table.find_host(host);
  if (route == nullptr) {
    return std::unexpected(Problem{
        .status = 404,
        .code = "unknown_app",
        .reason = fmt::format("No app answers at {}. Apps are at <app>.{}; see `perigee apps`.",
                              host, domain)});
  }
  const int wanted = request.tls ? kHttpsServicePort : kHttpServicePort;
  const auto owner = routing::find_port(route, model::Protocol::tcp, wanted);
  if (owner && owner->port->has(model::Handler::http)) return *owner;
  return std::unexpected(Problem{
      .status = 404,
      .code = "no_service",
      .reason = fmt::format("App {} has no HTTP service on port {} (add it to its services).",
                            route->app, wanted)});
}

FoundOwner find_by_port(const routing::RouteTable& table, const http::Request& request) {
  const auto owner =
      table.find_owner(model::Protocol::tcp, request.local.host(), request.local.port());
  if (owner && owner->port->has(model::Handler::http)) return *owner;
  return std::unexpected(
      Problem{.status = 404,
              .code = "no_service",
              .reason = fmt::format("No app has an HTTP service at {}.", request.local)});
}

}  // namespace perigee::router
