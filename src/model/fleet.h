// A fleet's nodes as values: what the store keeps of one's membership, and what routers need to
// know to hand requests to another. Addresses follow the fleet's plan: under its prefix (a /48 of
// fd00::/8, RFC 4193) a node's mesh address is <prefix>::<index>, its machines are in
// <prefix>:<index>::/64.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "json/json.h"

namespace perigee::model {

inline constexpr int kMaxNodeIndex = 65535;

// Of a node that has joined.
struct Membership {
  int index = 0;              // 1 to kMaxNodeIndex, never given out again
  std::string mesh_address;   // IPv6
  std::string endpoint;       // "203.0.113.7:51820"; empty: behind NAT, it speaks first
  std::string wireguard_key;  // public, base64
  // The one that it is about to take instead (src/mesh/key_file.h); empty: none is announced.
  std::string wireguard_next_key{};
  WallTime announced_at{};  // that
  bool rotate_key = false;  // an operator wants it to; until its key has changed
  std::string certificate;  // SHA-256 of the one that it identifies itself with
  // Of the one before: good until the next renewal, for a node that has not heard of the last.
  std::string previous_certificate;
  std::vector<std::string> roles;
  bool operator==(const Membership&) const = default;

  bool runs(std::string_view role) const;
  bool is_its(std::string_view certificate_fingerprint) const;
};
json::Value to_json(const Membership& membership);
Result<Membership> membership_from(const json::Value& value);

// Feed "routes", key /nodes/<node>.
struct RouteNode {
  NodeId node;
  RegionCode region;
  std::string mesh_address;
  bool has_router = false;
  bool has_worker = false;
  bool draining = false;
  bool operator==(const RouteNode&) const = default;
};
json::Value to_json(const RouteNode& node);
Result<RouteNode> route_node_from(const json::Value& value);

}  // namespace perigee::model
