// The fleet's addresses (docs/decisions/0019-mesh.md). All are in one unique local /48 (RFC 4193):
//
//   bits  48      16      32           32
//         fleet   0       0            node's index       a node's mesh address
//         fleet   node    0            host's number      a host on its machines' side
//         fleet   node    app's number machine's number   a machine
//
// So one mask says whether two machines are of one app, wherever they are, and a node's machines
// are one /64, which WireGuard binds to that node's key. Pure values.
//
//   TRY(const FleetPrefix fleet, FleetPrefix::parse("fd12:3456:789a::/48"));
//   fleet.node_address(*NodeIndex::make(5));  // "fd12:3456:789a::5"
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "mesh/prefix.h"
#include "sys/host.h"

namespace perigee::mesh {

// A node's place in the mesh: 1 to 65535, given out once.
class NodeIndex {
 public:
  static Result<NodeIndex> make(std::int64_t value);
  std::uint16_t value() const { return value_; }
  auto operator<=>(const NodeIndex&) const = default;

 private:
  explicit NodeIndex(std::uint16_t value) : value_(value) {}
  std::uint16_t value_;
};

// What a machine of an app has in common with all others of it, as nft compares: `address & mask`
// is `value`.
struct AppMatch {
  std::string mask;
  std::string value;
  bool operator==(const AppMatch&) const = default;
};

class FleetPrefix {
 public:
  static Result<FleetPrefix> parse(std::string_view text);  // "fd…::/48"
  static FleetPrefix generate(sys::Entropy& entropy);       // 40 random bits

  const Prefix& prefix() const { return prefix_; }
  Prefix nodes() const;  // the /64 of all mesh addresses
  std::string node_address(NodeIndex node) const;
  Prefix machines(NodeIndex node) const;  // the /64 of the node's machines
  // `app`: its number, which control gives out (0: the host's side). `machine`: unique on its node;
  // its IPv4 address is.
  std::string machine_address(NodeIndex node, std::uint32_t app, std::uint32_t machine) const;
  AppMatch app(std::uint32_t app) const;
  bool operator==(const FleetPrefix&) const = default;

 private:
  explicit FleetPrefix(Prefix prefix) : prefix_(prefix) {}
  Prefix address(std::uint16_t subnet, std::uint32_t app, std::uint32_t last) const;
  Prefix prefix_;
};

// The network of an app's machines on one node, and each machine's address in it.
class AppNetwork {
 public:
  AppNetwork(FleetPrefix fleet, NodeIndex node, std::uint32_t app)
      : fleet_(fleet), node_(node), app_(app) {}
  // "fd12:3456:789a:5:102:304::/96"; neither node nor app may be 0.
  static Result<AppNetwork> parse(std::string_view text);
  std::string str() const;

  std::string machine(std::uint32_t number) const {
    return fleet_.machine_address(node_, app_, number);
  }
  std::string gateway(std::uint32_t number) const {  // the node, as its machines see it
    return fleet_.machine_address(node_, 0, number);
  }
  AppMatch match() const { return fleet_.app(app_); }
  bool operator==(const AppNetwork&) const = default;

 private:
  FleetPrefix fleet_;
  NodeIndex node_;
  std::uint32_t app_;
};

}  // namespace perigee::mesh
