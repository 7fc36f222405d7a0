// RouteTable: which app answers at which host, and the fleet's nodes, as an immutable snapshot that
// requests read while the feed builds the next one. Holds shared routes: a new table for one
// changed app is cheap.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "model/fleet.h"
#include "model/types.h"

namespace perigee::routing {

using RoutePtr = std::shared_ptr<const model::AppRoute>;
using RouteMap = std::map<std::string, RoutePtr>;         // by app name
using NodeMap = std::map<std::string, model::RouteNode>;  // by node name

class RouteTable {
 public:
  RouteTable() = default;
  // Where two apps claim a host, the first by name has it.
  explicit RouteTable(RouteMap apps, NodeMap nodes = {});

  // `host` as normal_host gives it. Null: no app answers there.
  RoutePtr find_host(std::string_view host) const;
  RoutePtr find_app(std::string_view app) const;
  const RouteMap& apps() const { return apps_; }
  const NodeMap& nodes() const { return nodes_; }  // of the fleet

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  RouteMap apps_;
  NodeMap nodes_;
  std::unordered_map<std::string, RoutePtr, Hash, std::equal_to<>> hosts_;
};
using TablePtr = std::shared_ptr<const RouteTable>;

// A Host header's value as a key: lower case, without port and final dot.
std::string normal_host(std::string_view host);

}  // namespace perigee::routing
