#include "routing/route_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace perigee::routing {

std::optional<PortOwner> find_port(const RoutePtr& route, model::Protocol protocol, int port) {
  for (const model::Service& service : route->services) {
    if (service.protocol != protocol) continue;
    const auto found = std::ranges::find_if(
        service.ports, [port](const model::Port& each) { return each.contains(port); });
    if (found != service.ports.end()) return PortOwner{route, &service, &*found};
  }
  return std::nullopt;
}

namespace {

constexpr int kHttpsPort = 443;

bool is_passage(const RoutePtr& route) {
  const auto owner = find_port(route, model::Protocol::tcp, kHttpsPort);
  return owner && !owner->port->has(model::Handler::http);
}

}  // namespace

void RouteTable::set_app(const RoutePtr& route) {
  const std::string& app = route->app.str();
  erase_app(app);
  apps_.set(app, route);
  claim_all(*route, route);
  passages_ += is_passage(route) ? 1 : 0;
}

void RouteTable::erase_app(const std::string& app) {
  const RoutePtr former = find_app(app);
  if (former == nullptr) return;
  passages_ -= is_passage(former) ? 1 : 0;
  claim_all(*former, nullptr);
  apps_.erase(app);
}

// Whatever the app is found by; null: it no longer is.
void RouteTable::claim_all(const model::AppRoute& names, const RoutePtr& route) {
  const std::string& app = names.app.str();
  for (const std::string& host : names.hosts) claim(hosts_, normal_host(host), app, route);
  for (const std::string& address : names.addresses) claim(addresses_, address, app, route);
  for (const std::string& port : names.shared_ports) claim(ports_, port, app, route);
}

// Null: no more.
void RouteTable::claim(Index& index, const std::string& key, const std::string& app,
                       const RoutePtr& route) {
  const Claims* known = index.find(key);
  Claims claims = known == nullptr ? Claims{} : *known;
  if (route != nullptr) {
    claims.insert_or_assign(app, route);
  } else {
    claims.erase(app);
  }
  if (claims.empty()) return index.erase(key);
  index.set(key, std::move(claims));
}

RoutePtr RouteTable::first(const Index& index, std::string_view key) {
  const Claims* claims = index.find(key);
  return claims == nullptr ? nullptr : claims->begin()->second;
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
  RoutePtr exact = first(hosts_, host);
  const auto dot = host.find('.');
  if (exact != nullptr || dot == std::string_view::npos) return exact;
  return first(hosts_, fmt::format("*{}", host.substr(dot)));
}

RoutePtr RouteTable::find_address(std::string_view address) const {
  return first(addresses_, address);
}

std::optional<PortOwner> RouteTable::find_owner(model::Protocol protocol, std::string_view address,
                                                int port) const {
  RoutePtr route = find_address(address);
  if (route == nullptr) {
    route = first(ports_, fmt::format("{}/{}", model::name(protocol), port));
  }
  return route == nullptr ? std::nullopt : find_port(route, protocol, port);
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
