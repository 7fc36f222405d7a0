#include "link/members.h"

#include "link/limits.h"

namespace perigee::link {

void Members::set(const model::FleetNode& node) {
  nodes_[node.node] = node;
  const auto found = peers_.find(node.node);
  if (found != peers_.end()) found->second->addresses = addresses_of(node.membership);
}

bool Members::is_its(const NodeId& node, std::string_view fingerprint) const {
  const auto found = nodes_.find(node);
  return found != nodes_.end() && found->second.membership.is_its(fingerprint);
}

bool Members::runs(const NodeId& node, std::string_view role) const {
  const auto found = nodes_.find(node);
  return found != nodes_.end() && found->second.membership.runs(role);
}

std::vector<NodeId> Members::with_role(std::string_view role) const {
  std::vector<NodeId> out;
  for (const auto& [id, node] : nodes_) {
    if (node.membership.runs(role)) out.push_back(id);
  }
  return out;
}

Result<std::shared_ptr<Peer>> Members::peer(const NodeId& node) {
  const auto member = nodes_.find(node);
  if (member == nodes_.end()) {
    return fail(Code::not_found, "node {} is not of this fleet (see `perigee nodes`)", node);
  }
  std::shared_ptr<Peer>& peer = peers_[node];
  if (peer == nullptr) {
    peer = std::make_shared<Peer>(host_, tls_, node);
    peer->addresses = addresses_of(member->second.membership);
  }
  return peer;
}

std::vector<sys::Address> addresses_of(const model::Membership& membership) {
  std::vector<sys::Address> out;
  if (auto mesh = sys::Address::ip(membership.mesh_address, kPort)) out.push_back(*mesh);
  if (membership.endpoint.empty()) return out;
  if (const auto endpoint = sys::Address::parse(membership.endpoint)) {
    if (auto direct = sys::Address::ip(endpoint->host(), kPort)) out.push_back(*direct);
  }
  return out;
}

}  // namespace perigee::link
