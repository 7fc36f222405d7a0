#include "routing/route_table.h"

#include "base/text.h"

namespace perigee::routing {

RouteTable::RouteTable(RouteMap apps, NodeMap nodes)
    : apps_(std::move(apps)), nodes_(std::move(nodes)) {
  for (const auto& [name, route] : apps_) {
    for (const std::string& host : route->hosts) hosts_.try_emplace(normal_host(host), route);
  }
}

RoutePtr RouteTable::find_host(std::string_view host) const {
  const auto found = hosts_.find(host);
  return found == hosts_.end() ? nullptr : found->second;
}

RoutePtr RouteTable::find_app(std::string_view app) const {
  const auto found = apps_.find(std::string(app));
  return found == apps_.end() ? nullptr : found->second;
}

std::string normal_host(std::string_view host) {
  const auto bracket = host.rfind(']');
  const auto colon = host.rfind(':');
  const bool has_port =
      colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  if (has_port) host = host.substr(0, colon);
  if (host.ends_with('.')) host.remove_suffix(1);
  return to_lower(host);
}

}  // namespace perigee::routing
