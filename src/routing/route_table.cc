#include "routing/route_table.h"

#include "base/text.h"

namespace perigee::routing {

void RouteTable::set_app(const RoutePtr& route) {
  const std::string& app = route->app.str();
  erase_app(app);
  apps_.set(app, route);
  for (const std::string& host : route->hosts) claim(normal_host(host), app, route);
}

void RouteTable::erase_app(const std::string& app) {
  const RoutePtr former = find_app(app);
  if (former == nullptr) return;
  for (const std::string& host : former->hosts) claim(normal_host(host), app, nullptr);
  apps_.erase(app);
}

// Null: no more.
void RouteTable::claim(const std::string& host, const std::string& app, const RoutePtr& route) {
  const Claims* known = hosts_.find(host);
  Claims claims = known == nullptr ? Claims{} : *known;
  if (route != nullptr) {
    claims.insert_or_assign(app, route);
  } else {
    claims.erase(app);
  }
  if (claims.empty()) return hosts_.erase(host);
  hosts_.set(host, std::move(claims));
}

NodeMap& RouteTable::own_nodes() {
  if (nodes_.use_count() > 1) nodes_ = std::make_shared<NodeMap>(*nodes_);
  return *nodes_;
}

void RouteTable::set_node(model::RouteNode node) {
  const std::string name = node.node.str();
  own_nodes().insert_or_assign(name, std::move(node));
}

void RouteTable::erase_node(const std::string& node) {
  if (nodes_->contains(node)) own_nodes().erase(node);
}

RoutePtr RouteTable::find_host(std::string_view host) const {
  const Claims* claims = hosts_.find(host);
  return claims == nullptr ? nullptr : claims->begin()->second;
}

RoutePtr RouteTable::find_app(std::string_view app) const {
  const RoutePtr* route = apps_.find(app);
  return route == nullptr ? nullptr : *route;
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
