#include "control/fleet.h"

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "control/limits.h"
#include "crypto/aead.h"
#include "crypto/certificate.h"
#include "crypto/hash.h"
#include "mesh/keys.h"

namespace perigee::control {
namespace {

constexpr std::size_t kFleetIdBytes = 8;
constexpr std::size_t kTokenIdBytes = 8;
constexpr std::size_t kTokenSecretBytes = 24;
constexpr std::size_t kGlobalIdBytes = 5;  // RFC 4193 section 3.2.2
constexpr int kJoinAttempts = 20;
constexpr std::array<std::string_view, 3> kRoles{"control", "worker", "router"};
// What a worker or a router opens.
constexpr std::array kNodeKinds{secrets::Kind::app_secret, secrets::Kind::volume_key,
                                secrets::Kind::registry_password, secrets::Kind::certificate_key};

secrets::Place ca_place(std::string_view fleet) {
  return {secrets::Kind::node_key, fmt::format("{}/ca", fleet)};
}

// "fd12:3456:789a", 40 random bits after the first octet.
std::string random_prefix(sys::Entropy& entropy) {
  const std::string digits = sys::random_hex(entropy, kGlobalIdBytes);
  return fmt::format("fd{}:{}:{}", digits.substr(0, 2), digits.substr(2, 4), digits.substr(6, 4));
}

Result<void> check_roles(const std::vector<std::string>& roles) {
  const bool known = std::ranges::all_of(
      roles, [](const auto& role) { return std::ranges::count(kRoles, role) != 0; });
  if (known && !roles.empty()) return {};
  return fail(Code::invalid_argument, "roles: expected some of control, worker and router");
}

bool runs_control(const model::JoinRequest& request) {
  return std::ranges::count(request.roles, "control") != 0;
}

}  // namespace

async::Task<Result<Stored<FleetRecord>>> Fleet::identity() {
  if (context_.desired.fleet()) co_return *context_.desired.fleet();
  sys::Entropy& entropy = context_.host.entropy;
  FleetRecord record{.id = sys::random_hex(entropy, kFleetIdBytes),
                     .prefix = random_prefix(entropy),
                     .ca_certificate = {},
                     .ca_key = {}};
  CO_TRY(crypto::KeyPair ca,
         crypto::create_ca("Perigee fleet " + record.id, context_.host.clock.wall()));
  record.ca_certificate = ca.certificate_pem;
  auto sealed = context_.keys.ring().seal(ca_place(record.id), ca.private_key_pem, entropy);
  crypto::wipe(ca.private_key_pem);
  CO_TRY(record.ca_key, std::move(sealed));
  store::Transaction transaction;
  transaction.expect(std::string(kFleetKey), 0);
  transaction.put(std::string(kFleetKey), to_json(record).dump());
  const auto done = co_await context_.commit(std::move(transaction));
  if (!done && done.error().code != Code::conflict) co_return fail(done.error());
  if (!context_.desired.fleet())
    co_return fail(Code::unavailable, "the fleet's record is not here");
  co_return *context_.desired.fleet();
}

async::Task<Result<model::JoinToken>> Fleet::make_token(Duration life, int uses, Admits admits) {
  if (admits == Admits::controls_too && store_ == Store::of_one_control) {
    co_return fail(Code::unsupported,
                   "the state is in SQLite, which one control node alone can use: move it to etcd "
                   "first (docs/operate/store.md), then others can join with control");
  }
  CO_TRY(const Stored<FleetRecord> fleet, co_await identity());
  sys::Entropy& entropy = context_.host.entropy;
  model::JoinToken token{.id = sys::random_hex(entropy, kTokenIdBytes),
                         .secret = sys::random_hex(entropy, kTokenSecretBytes),
                         .ca_fingerprint = {}};
  CO_TRY(token.ca_fingerprint, crypto::fingerprint(fleet.value.ca_certificate));
  const WallTime now = context_.host.clock.wall();
  const JoinTokenRecord record{.sha256 = crypto::sha256_hex(token.secret),
                               .created_at = now,
                               .expires_at = now + life,
                               .uses_left = uses,
                               .admits = admits};
  store::Transaction transaction;
  transaction.expect(join_token_key(token.id), 0);
  transaction.put(join_token_key(token.id), to_json(record).dump());
  CO_TRY_VOID(co_await context_.commit(std::move(transaction)));
  co_return token;
}

// The same error for an unknown, a wrong, a spent and an expired token.
Result<void> Fleet::spend(const model::JoinToken& token, const model::JoinRequest& request,
                          store::Transaction& transaction) const {
  const auto found = context_.desired.join_tokens().find(token.id);
  const bool good =
      found != context_.desired.join_tokens().end() && found->second.value.uses_left > 0 &&
      context_.host.clock.wall() < found->second.value.expires_at &&
      crypto::equal_constant_time(found->second.value.sha256, crypto::sha256_hex(token.secret));
  if (!good) {
    return fail(Code::unauthenticated,
                "this join token is not good (any more): make another with `perigee nodes token`");
  }
  JoinTokenRecord record = found->second.value;
  if (runs_control(request) && record.admits != Admits::controls_too) {
    return fail(Code::permission_denied,
                "this join token is not for nodes with control, which get every key of the fleet: "
                "make one with `perigee nodes token --control`");
  }
  transaction.expect(join_token_key(token.id), found->second.revision);
  if (--record.uses_left > 0) {
    transaction.put(join_token_key(token.id), to_json(record).dump());
  } else {
    transaction.remove(join_token_key(token.id));
  }
  return {};
}

Result<std::string> Fleet::issue(const FleetRecord& fleet, const NodeId& node,
                                 const std::string& certificate_request, bool runs_control) const {
  TRY(std::string key, context_.keys.ring().open(ca_place(fleet.id), fleet.ca_key));
  crypto::KeyPair ca{fleet.ca_certificate, std::move(key)};
  std::vector<std::string> names{node.str(), model::server_name_of(node)};
  if (runs_control) names.emplace_back(model::kControlServerName);
  auto certificate = crypto::issue_requested(ca, certificate_request, names,
                                             context_.host.clock.wall(), certificate_life_);
  crypto::wipe(ca.private_key_pem);
  return certificate;
}

// Nodes that join at the same time compete for the next index.
async::Task<Result<model::Admission>> Fleet::admit(model::JoinRequest request) {
  for (int attempt = 1;; ++attempt) {
    auto admitted = co_await admit_once(request);
    const bool again = !admitted && admitted.error().code == Code::conflict;
    if (!again || attempt == kJoinAttempts) co_return admitted;
  }
}

async::Task<Result<model::Admission>> Fleet::admit_once(model::JoinRequest request) {
  CO_TRY(const model::JoinToken token, model::parse_join_token(request.token));
  store::Transaction transaction;
  CO_TRY_VOID(spend(token, request, transaction));
  const bool control = runs_control(request);
  CO_TRY(model::Admission admission,
         co_await enter(std::move(request), std::move(transaction), false));
  if (control) {
    admission.key_ring = context_.keys.ring().text();
    admission.control = {.api_token = api_token_,
                         .ca_certificate = context_.certificates.ca_pem(),
                         .ca_key = context_.certificates.sealed_key()};
  }
  co_return admission;
}

async::Task<Result<model::Admission>> Fleet::admit_own(model::JoinRequest request) {
  co_return co_await enter(std::move(request), {}, true);
}

async::Task<Result<model::Admission>> Fleet::enter(model::JoinRequest request,
                                                   store::Transaction transaction, bool again) {
  CO_TRY_VOID(check_roles(request.roles));
  CO_TRY_VOID(check_keys(request.node, {request.wireguard_key}));
  CO_TRY(Stored<FleetRecord> fleet, co_await identity());
  const auto found = context_.desired.nodes().find(request.node);
  const bool known = found != context_.desired.nodes().end();
  NodeRecord record = known ? found->second.value : NodeRecord{};
  if (record.membership && !again) {
    co_return fail(Code::already_exists,
                   "a node {} has joined already: give this one another name, or `perigee nodes "
                   "remove {}` first",
                   request.node, request.node);
  }
  CO_TRY(std::string certificate,
         issue(fleet.value, request.node, request.certificate_request, runs_control(request)));
  model::Membership membership{
      .index = record.membership ? record.membership->index : fleet.value.next_index,
      .mesh_address = {},
      .endpoint = request.endpoint,
      .wireguard_key = request.wireguard_key,
      .certificate = {},
      .previous_certificate = {},
      .roles = request.roles};
  CO_TRY(membership.certificate, crypto::fingerprint(certificate));
  if (membership.index > model::kMaxNodeIndex) {
    co_return fail(Code::resource_exhausted, "this fleet has given out its {} node indexes",
                   model::kMaxNodeIndex);
  }
  membership.mesh_address = model::mesh_address(fleet.value.prefix, membership.index);
  if (!record.membership) {
    ++fleet.value.next_index;
    transaction.expect(std::string(kFleetKey), fleet.revision);
    transaction.put(std::string(kFleetKey), to_json(fleet.value).dump());
  }
  if (!known) record.first_seen = context_.host.clock.wall();
  record.region = request.region;
  record.membership = membership;
  transaction.expect(node_key(request.node), known ? found->second.revision : 0);
  transaction.put(node_key(request.node), to_json(record).dump());
  CO_TRY_VOID(co_await context_.commit(std::move(transaction)));
  log_info("control", "node {} ({}) has joined as {}", request.node, request.region,
           membership.mesh_address);
  co_return admission(fleet.value, {request.node, request.region, std::move(membership)},
                      std::move(certificate));
}

// A key that two nodes share would be refused by the mesh of every node.
Result<void> Fleet::check_keys(const NodeId& node, const std::vector<std::string>& keys) const {
  for (const std::string& key : keys) {
    TRY_AS([[maybe_unused]] const auto parsed, mesh::PublicKey::parse(key), "wireguard_key");
    for (const auto& [id, stored] : context_.desired.nodes()) {
      const auto& membership = stored.value.membership;
      if (id == node || !membership) continue;
      if (key == membership->wireguard_key || key == membership->wireguard_next_key) {
        return fail(Code::invalid_argument, "node {} has that WireGuard key: make one for {}", id,
                    node);
      }
    }
  }
  return {};
}

Result<void> Fleet::check_turn(const NodeId& node) const {
  const WallTime now = context_.host.clock.wall();
  for (const auto& [id, stored] : context_.desired.nodes()) {
    const auto& membership = stored.value.membership;
    if (id == node || !membership || membership->wireguard_next_key.empty()) continue;
    if (now - membership->announced_at > kKeyChangeBound) continue;  // it is gone, or in trouble
    return fail(Code::conflict, "node {} is changing its WireGuard key: one at a time", id);
  }
  return {};
}

async::Task<Result<void>> Fleet::set_keys(NodeId node, std::string key, std::string next_key) {
  std::vector<std::string> keys{key};
  if (!next_key.empty()) keys.push_back(next_key);
  CO_TRY_VOID(check_keys(node, keys));
  const auto found = context_.desired.nodes().find(node);
  if (found == context_.desired.nodes().end() || !found->second.value.membership) {
    co_return fail(Code::not_found, "node {} has not joined this fleet", node);
  }
  NodeRecord record = found->second.value;
  model::Membership& membership = *record.membership;
  if (!next_key.empty() && next_key != membership.wireguard_next_key) {
    CO_TRY_VOID(check_turn(node));
    membership.announced_at =
        WallTime{} + std::chrono::milliseconds(context_.host.clock.wall().unix_ms());
  }
  if (key != membership.wireguard_key) membership.rotate_key = false;
  membership.wireguard_key = std::move(key);
  membership.wireguard_next_key = std::move(next_key);
  if (record == found->second.value) co_return Result<void>();
  store::Transaction transaction;
  transaction.expect(node_key(node), found->second.revision);
  transaction.put(node_key(node), to_json(record).dump());
  co_return co_await context_.commit(std::move(transaction));
}

async::Task<Result<model::Admission>> Fleet::renew(NodeId node, std::string certificate_request,
                                                   std::string shown) {
  CO_TRY(const Stored<FleetRecord> fleet, co_await identity());
  const auto found = context_.desired.nodes().find(node);
  if (found == context_.desired.nodes().end() || !found->second.value.membership) {
    co_return fail(Code::not_found, "node {} has not joined this fleet", node);
  }
  NodeRecord record = found->second.value;
  CO_TRY(std::string certificate,
         issue(fleet.value, node, certificate_request, record.membership->runs("control")));
  model::Membership& membership = *record.membership;
  membership.previous_certificate =
      membership.is_its(shown) ? std::move(shown) : membership.certificate;
  CO_TRY(record.membership->certificate, crypto::fingerprint(certificate));
  store::Transaction transaction;
  transaction.expect(node_key(node), found->second.revision);
  transaction.put(node_key(node), to_json(record).dump());
  CO_TRY_VOID(co_await context_.commit(std::move(transaction)));
  co_return admission(fleet.value, {node, record.region, *record.membership},
                      std::move(certificate));
}

model::Admission Fleet::admission(const FleetRecord& fleet, model::FleetNode node,
                                  std::string certificate) const {
  model::Admission out{.fleet = fleet.id,
                       .prefix = fleet.prefix,
                       .node = std::move(node),
                       .ca_pem = fleet.ca_certificate,
                       .certificate_pem = std::move(certificate),
                       .key_ring = {},
                       .control = {},
                       .nodes = {}};
  if (!out.node.membership.runs("control")) out.key_ring = key_ring();
  for (const auto& [id, stored] : context_.desired.nodes()) {
    if (!stored.value.membership) continue;
    out.nodes.push_back({id, stored.value.region, *stored.value.membership});
  }
  return out;
}

Result<std::optional<std::string>> Fleet::ca_key_sealed_anew() const {
  const auto& fleet = context_.desired.fleet();
  if (!fleet || context_.keys.ring().is_current(fleet->value.ca_key)) return std::nullopt;
  const secrets::Place place = ca_place(fleet->value.id);
  TRY(std::string key, context_.keys.ring().open(place, fleet->value.ca_key));
  auto sealed = context_.keys.ring().seal(place, key, context_.host.entropy);
  crypto::wipe(key);
  if (!sealed) return fail(sealed.error());
  return *std::move(sealed);
}

std::string Fleet::key_ring() const {
  return context_.keys.ring().text_for(kNodeKinds);
}

}  // namespace perigee::control
