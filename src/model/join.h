// How a node becomes part of a fleet, as values: what it asks with, what it is admitted with, and
// the token that an operator carries from one to the other. Control and `perigeed link` share them
// (docs/formats/fleet.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/fleet.h"

namespace perigee::model {

// "pgj1-<id>-<secret>-<ca>": control knows the secret by its hash; the joining node knows control
// by the SHA-256 of the fleet's CA, before it says anything.
struct JoinToken {
  std::string id;              // 16 hex digits
  std::string secret;          // 48 hex digits
  std::string ca_fingerprint;  // 64 hex digits
  bool operator==(const JoinToken&) const = default;
};
std::string to_text(const JoinToken& token);
// The error holds no part of the text.
Result<JoinToken> parse_join_token(std::string_view text);

struct JoinRequest {
  std::string token;  // empty: a node with control asks its own
  NodeId node;
  RegionCode region;
  std::vector<std::string> roles;
  std::string endpoint;             // where peers reach its mesh; empty: behind NAT
  std::string wireguard_key;        // public
  std::string certificate_request;  // PEM, of the node's own key
};
json::Value to_json(const JoinRequest& request);
Result<JoinRequest> join_request_from(const json::Value& value);

// A node as the others of its fleet know it. Feed "fleet", key /nodes/<node>.
struct FleetNode {
  NodeId node;
  RegionCode region;
  Membership membership;
  bool operator==(const FleetNode&) const = default;
};
json::Value to_json(const FleetNode& node);
Result<FleetNode> fleet_node_from(const json::Value& value);

// What a node with control shares with the others that have it, beside the store and the key ring.
struct ControlFiles {
  std::string api_token;       // of the public API
  std::string ca_certificate;  // PEM, of the CA that issues apps' certificates
  std::string ca_key;          // sealed with the key ring
  bool operator==(const ControlFiles&) const = default;
};

struct Admission {
  std::string fleet;   // its id
  std::string prefix;  // of its addresses: "fd12:3456:789a"
  FleetNode node;      // the one that joined
  std::string ca_pem;
  std::string certificate_pem;
  std::string key_ring;  // restricted, or control's own where the node is to run control
  std::optional<ControlFiles> control;  // for a node that joins with control
  std::vector<FleetNode> nodes;         // all of the fleet
};
json::Value to_json(const Admission& admission);
Result<Admission> admission_from(const json::Value& value);

// A node's name: a DNS label, as apps' names are.
Result<NodeId> parse_node_name(std::string_view text);
// What the link of a node with control answers to, beside its own name: a server that joins knows
// no names yet.
inline constexpr std::string_view kControlServerName = "control.perigee";
// What a node's certificate is for, beside its name: TLS wants a host name.
std::string server_name_of(const NodeId& node);
// fdXX:XXXX:XXXX + index.
std::string mesh_address(std::string_view prefix, int index);

}  // namespace perigee::model
