// RouteTable: which app answers at which host and port, and the fleet's nodes. The feed changes its
// own copy; requests read copies of that, which are immutable and share all that has not changed.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "model/fleet.h"
#include "model/types.h"
#include "routing/shared_map.h"

namespace perigee::routing {

using RoutePtr = std::shared_ptr<const model::AppRoute>;
using RouteMap = SharedMap<RoutePtr>;                     // by app name
using NodeMap = std::map<std::string, model::RouteNode>;  // by node name

// Whose a port is.
struct PortOwner {
  RoutePtr route;
  const model::Service* service = nullptr;  // of the route
  const model::Port* port = nullptr;        // of the service
};

// The port that users know by that number; null: the app has none.
std::optional<PortOwner> find_port(const RoutePtr& route, model::Protocol protocol, int port);

class RouteTable {
 public:
  // In place of the app's former one.
  void set_app(const RoutePtr& route);
  void erase_app(const std::string& app);
  void set_node(model::RouteNode node);
  void erase_node(const std::string& node);

  // `host` as normal_host gives it; the app of just that host, else of "*.parent". Null: no app
  // answers there. Where two apps claim a host, the first by name has it.
  RoutePtr find_host(std::string_view host) const;
  // The app that an address of ours belongs to; null: it is the nodes'.
  RoutePtr find_address(std::string_view address) const;
  // Who serves `port` at `address`: the app that has the address, else the one that has the port at
  // all nodes' addresses. Nullopt: nobody.
  std::optional<PortOwner> find_owner(model::Protocol protocol, std::string_view address,
                                      int port) const;
  // Whether any app has port 443 without the http handler.
  bool has_passages() const { return passages_ > 0; }
  RoutePtr find_app(std::string_view app) const;
  const RouteMap& apps() const { return apps_; }
  const NodeMap& nodes() const { return *nodes_; }  // of the fleet
  // Without a comparison of each: the same nodes as in a table that this is a copy of.
  bool shares_nodes(const RouteTable& other) const { return nodes_ == other.nodes_; }

 private:
  using Claims = std::map<std::string, RoutePtr>;  // of one host, address or port, by app name
  using Index = SharedMap<Claims>;
  static RoutePtr first(const Index& index, std::string_view key);
  static void claim(Index& index, const std::string& key, const std::string& app,
                    const RoutePtr& route);
  void claim_all(const model::AppRoute& names, const RoutePtr& route);
  NodeMap& own_nodes();

  RouteMap apps_;
  Index hosts_;
  Index addresses_;
  Index ports_;  // "tcp/5432"
  std::size_t passages_ = 0;
  std::shared_ptr<NodeMap> nodes_ = std::make_shared<NodeMap>();
};
using TablePtr = std::shared_ptr<const RouteTable>;

// A Host header's value as a key: lower case, without port and final dot.
std::string normal_host(std::string_view host);

}  // namespace perigee::routing
