#include "model/join.h"

#include <algorithm>

#include "base/text.h"
#include "model/json.h"
#include "model/limits.h"

namespace perigee::model {
namespace {

constexpr std::string_view kTokenPrefix = "pgj1";
constexpr std::size_t kIdDigits = 16;
constexpr std::size_t kSecretDigits = 48;
constexpr std::size_t kFingerprintDigits = 64;

bool is_hex(std::string_view text, std::size_t digits) {
  return text.size() == digits && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

Result<std::vector<FleetNode>> fleet_nodes_in(const json::Value& value) {
  std::vector<FleetNode> nodes;
  const json::Value* items = value.find("nodes");
  if (items == nullptr) return nodes;
  if (items->items().size() > kMaxNodes) {
    return fail(Code::resource_exhausted, "nodes: more than {}", kMaxNodes);
  }
  for (const json::Value& item : items->items()) {
    TRY_AS(FleetNode node, fleet_node_from(item), "nodes");
    nodes.push_back(std::move(node));
  }
  return nodes;
}

json::Value to_json(const ControlFiles& files) {
  return json::object(
      {{"token", files.api_token}, {"ca", files.ca_certificate}, {"ca_key", files.ca_key}});
}

Result<ControlFiles> control_files_from(const json::Value& value) {
  ControlFiles files;
  TRY(files.api_token, value.require_string("token"));
  TRY(files.ca_certificate, value.require_string("ca"));
  TRY(files.ca_key, value.require_string("ca_key"));
  return files;
}

}  // namespace

std::string to_text(const JoinToken& token) {
  return fmt::format("{}-{}-{}-{}", kTokenPrefix, token.id, token.secret, token.ca_fingerprint);
}

Result<JoinToken> parse_join_token(std::string_view text) {
  const auto parts = split(text, '-');
  if (parts.size() != 4 || parts[0] != kTokenPrefix || !is_hex(parts[1], kIdDigits) ||
      !is_hex(parts[2], kSecretDigits) || !is_hex(parts[3], kFingerprintDigits)) {
    return fail(Code::invalid_argument,
                "this is not a join token: they begin with {}- and are made by `perigee nodes "
                "token` on a node with control",
                kTokenPrefix);
  }
  return JoinToken{.id = std::string(parts[1]),
                   .secret = std::string(parts[2]),
                   .ca_fingerprint = std::string(parts[3])};
}

json::Value to_json(const JoinRequest& request) {
  return json::object({{"token", request.token},
                       {"node", request.node.str()},
                       {"region", request.region.str()},
                       {"roles", json::strings(request.roles)},
                       {"endpoint", request.endpoint},
                       {"wireguard_key", request.wireguard_key},
                       {"certificate_request", request.certificate_request}});
}

Result<JoinRequest> join_request_from(const json::Value& value) {
  JoinRequest request;
  TRY(request.token, value.optional_string("token"));
  TRY(const std::string node, value.require_string("node"));
  TRY_AS(request.node, parse_node_name(node), "node");
  TRY(const std::string region, value.require_string("region"));
  TRY_AS(request.region, parse_region(region), "region");
  TRY(request.roles, value.optional_strings("roles"));
  TRY(request.endpoint, value.optional_string("endpoint"));
  TRY(request.wireguard_key, value.require_string("wireguard_key"));
  TRY(request.certificate_request, value.require_string("certificate_request"));
  return request;
}

json::Value to_json(const FleetNode& node) {
  return json::object({{"node", node.node.str()},
                       {"region", node.region.str()},
                       {"membership", to_json(node.membership)}});
}

Result<FleetNode> fleet_node_from(const json::Value& value) {
  FleetNode node;
  TRY(const std::string name, value.require_string("node"));
  TRY(const std::string region, value.require_string("region"));
  node.node = NodeId(name);
  node.region = RegionCode(region);
  const json::Value* membership = value.find("membership");
  if (membership == nullptr) return fail(Code::data_loss, "membership: missing");
  TRY_AS(node.membership, membership_from(*membership), "membership");
  return node;
}

json::Value to_json(const Admission& admission) {
  json::Value nodes = json::array();
  for (const FleetNode& node : admission.nodes) nodes.push(to_json(node));
  json::Value out = json::object({{"fleet", admission.fleet},
                                  {"prefix", admission.prefix},
                                  {"node", to_json(admission.node)},
                                  {"ca", admission.ca_pem},
                                  {"certificate", admission.certificate_pem},
                                  {"key_ring", admission.key_ring},
                                  {"nodes", std::move(nodes)}});
  if (admission.control) out.set("control", to_json(*admission.control));
  return out;
}

Result<Admission> admission_from(const json::Value& value) {
  Admission admission;
  TRY(admission.fleet, value.require_string("fleet"));
  TRY(admission.prefix, value.require_string("prefix"));
  const json::Value* node = value.find("node");
  if (node == nullptr) return fail(Code::data_loss, "node: missing");
  TRY_AS(admission.node, fleet_node_from(*node), "node");
  TRY(admission.ca_pem, value.require_string("ca"));
  TRY(admission.certificate_pem, value.require_string("certificate"));
  TRY(admission.key_ring, value.optional_string("key_ring"));
  TRY(admission.nodes, fleet_nodes_in(value));
  if (const json::Value* control = value.find("control")) {
    TRY_AS(admission.control, control_files_from(*control), "control");
  }
  return admission;
}

Result<NodeId> parse_node_name(std::string_view text) {
  const auto name = parse_app_name(text);
  if (name) return NodeId(name->str());
  return fail(Code::invalid_argument,
              "'{}' can't be a node's name: a-z, 0-9 and -, beginning with a letter, at most 63",
              text);
}

std::string server_name_of(const NodeId& node) {
  return node.str() + ".node.perigee";
}

std::string mesh_address(std::string_view prefix, int index) {
  return fmt::format("{}::{:x}", prefix, index);
}

}  // namespace perigee::model
