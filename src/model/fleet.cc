#include "model/fleet.h"

#include <algorithm>

namespace perigee::model {

bool Membership::runs(std::string_view role) const {
  return std::ranges::find(roles, role) != roles.end();
}

bool Membership::is_its(std::string_view certificate_fingerprint) const {
  return !certificate_fingerprint.empty() && (certificate_fingerprint == certificate ||
                                              certificate_fingerprint == previous_certificate);
}

json::Value to_json(const Membership& membership) {
  return json::object({{"index", membership.index},
                       {"mesh_address", membership.mesh_address},
                       {"endpoint", membership.endpoint},
                       {"wireguard_key", membership.wireguard_key},
                       {"wireguard_next_key", membership.wireguard_next_key},
                       {"announced_at_ms", membership.announced_at.unix_ms()},
                       {"rotate_key", membership.rotate_key},
                       {"certificate", membership.certificate},
                       {"previous_certificate", membership.previous_certificate},
                       {"roles", json::strings(membership.roles)}});
}

Result<Membership> membership_from(const json::Value& value) {
  Membership membership;
  TRY(const std::int64_t index, value.require_int("index"));
  if (index < 1 || index > kMaxNodeIndex) {
    return fail(Code::data_loss, "index: {} is not in 1 to {}", index, kMaxNodeIndex);
  }
  membership.index = static_cast<int>(index);
  TRY(membership.mesh_address, value.require_string("mesh_address"));
  TRY(membership.endpoint, value.optional_string("endpoint"));
  TRY(membership.wireguard_key, value.require_string("wireguard_key"));
  TRY(membership.wireguard_next_key, value.optional_string("wireguard_next_key"));
  TRY(const std::int64_t announced_ms, value.optional_int("announced_at_ms", 0));
  membership.announced_at = WallTime{} + std::chrono::milliseconds(announced_ms);
  TRY(membership.rotate_key, value.optional_bool("rotate_key", false));
  TRY(membership.certificate, value.require_string("certificate"));
  TRY(membership.previous_certificate, value.optional_string("previous_certificate"));
  TRY(membership.roles, value.optional_strings("roles"));
  return membership;
}

json::Value to_json(const RouteNode& node) {
  return json::object({{"node", node.node.str()},
                       {"region", node.region.str()},
                       {"mesh_address", node.mesh_address},
                       {"has_router", node.has_router},
                       {"has_worker", node.has_worker},
                       {"draining", node.draining}});
}

Result<RouteNode> route_node_from(const json::Value& value) {
  RouteNode node;
  TRY(const std::string name, value.require_string("node"));
  TRY(const std::string region, value.require_string("region"));
  node.node = NodeId(name);
  node.region = RegionCode(region);
  TRY(node.mesh_address, value.require_string("mesh_address"));
  TRY(node.has_router, value.optional_bool("has_router", false));
  TRY(node.has_worker, value.optional_bool("has_worker", false));
  TRY(node.draining, value.optional_bool("draining", false));
  return node;
}

}  // namespace perigee::model
