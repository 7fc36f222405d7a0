#include "link/link.h"

#include <algorithm>
#include <filesystem>

#include "async/combine.h"
#include "base/log.h"
#include "feed/follower.h"
#include "http/server.h"
#include "link/inbound.h"
#include "link/join.h"
#include "link/limits.h"
#include "link/outbound.h"
#include "link/to_control.h"

namespace perigee::link {
namespace {

constexpr std::string_view kNodes = "/nodes/";
constexpr std::string_view kKeys = "/keys";
constexpr Duration kMeshRetry = 2s;

async::Task<bool> one_change(async::Notify& notify) {
  co_await notify.wait();
  co_return true;
}

}  // namespace

bool Config::runs(std::string_view role) const {
  return std::ranges::find(roles, role) != roles.end();
}

Link::Link(sys::Host& host, Config config)
    : host_(host),
      config_(std::move(config)),
      work_(host.loop),
      saving_(host.loop, 1),
      keeper_(host, config_.mesh),
      client_(host, {}) {}

Link::~Link() = default;

// ---- who we are ----

async::Task<Result<void>> Link::find_identity() {
  CO_TRY_VOID(co_await secrets::KeyFile::ensure(host_, config_.node_ring));
  CO_TRY(ring_, co_await secrets::KeyFile::open(host_, config_.node_ring));
  file_ = std::make_unique<IdentityFile>(host_, *ring_, config_.identity_path);
  CO_TRY_VOID(co_await host_.disk.make_directories(
      std::filesystem::path(config_.mesh_key_path).parent_path().string(), 0700));
  CO_TRY(mesh::KeyFile keys, co_await mesh::KeyFile::open(host_, config_.mesh_key_path));
  mesh_keys_.emplace(std::move(keys));
  CO_TRY(std::optional<Identity> found, co_await file_->load());
  if (found) identity_ = std::make_unique<Identity>(*std::move(found));
  if (config_.runs("control")) co_return co_await join_own_fleet();
  if (identity_) co_return Result<void>();
  co_return fail(
      Code::not_found,
      "this server has not joined a fleet: run `perigeed --join HOST --token-file FILE`");
}

// Also where the configuration has changed since. While control starts it is asked again.
async::Task<Result<void>> Link::join_own_fleet() {
  if (identity_) {
    const model::FleetNode& node = identity_->admission.node;
    const bool same = node.node == config_.node && node.region == config_.region &&
                      node.membership.endpoint == config_.endpoint &&
                      node.membership.roles == config_.roles;
    if (same) co_return Result<void>();
  }
  const MonotonicTime patience = host_.loop.now() + kJoinPatience;
  for (;;) {
    CO_TRY(Candidate self, candidate(config_.node, config_.region, config_.roles, config_.endpoint,
                                     mesh_keys_->keys().current.public_key().base64()));
    auto joined = co_await join_own(host_, config_.own_control, std::move(self));
    if (joined) {
      identity_ = std::make_unique<Identity>(std::move(joined->identity));
      co_return co_await save();
    }
    if (host_.loop.now() > patience) co_return fail(joined.error().with("this node's control"));
    co_await host_.loop.sleep(kJoinRetry);
  }
}

async::Task<Result<void>> Link::save() {
  const auto turn = co_await saving_.acquire();
  if (members_) {
    identity_->admission.nodes.clear();
    for (const auto& [id, node] : members_->nodes()) identity_->admission.nodes.push_back(node);
  }
  co_return co_await file_->save(*identity_);
}

// From now on connections show this identity, both ways.
Result<void> Link::present() {
  const model::Admission& admission = identity_->admission;
  const crypto::KeyPair shown{admission.certificate_pem, identity_->private_key_pem};
  const NodeId& self = admission.node.node;
  TRY_VOID(server_tls_->set_certificate(model::server_name_of(self), shown.certificate_pem,
                                        shown.private_key_pem));
  if (config_.runs("control")) {
    TRY_VOID(server_tls_->set_certificate(model::kControlServerName, shown.certificate_pem,
                                          shown.private_key_pem));
  }
  return client_tls_->identify_as(shown);
}

// ---- what the feed tells ----

void Link::changed(const std::string& key, const json::Value* value) {
  if (key == kKeys && value != nullptr) {
    const std::string ids = value->dump();
    keys_changed_ = keys_changed_ || ids != key_ids_;
    key_ids_ = ids;
  }
  if (!key.starts_with(kNodes)) return;
  nodes_changed_ = true;
  const NodeId node(key.substr(kNodes.size()));
  if (value == nullptr) return members_->remove(node);
  const auto parsed = model::fleet_node_from(*value);
  if (!parsed) {
    return log_error("link", "node {}: {}; it stays as it was", node, parsed.error().context);
  }
  members_->set(*parsed);
  if (node == identity_->admission.node.node) identity_->admission.node = *parsed;
}

void Link::synced(const std::set<std::string>& keys) {
  std::vector<NodeId> gone;
  for (const auto& [id, node] : members_->nodes()) {
    if (!keys.contains(std::string(kNodes) + id.str())) gone.push_back(id);
  }
  for (const NodeId& id : gone) members_->remove(id);
  nodes_changed_ = nodes_changed_ || !gone.empty();
}

// ---- what follows from it ----

Result<mesh::MeshConfig> Link::wanted_mesh() const {
  const model::Admission& admission = identity_->admission;
  TRY(const mesh::FleetPrefix fleet, mesh::FleetPrefix::parse(admission.prefix + "::/48"));
  TRY(const mesh::NodeIndex index, mesh::NodeIndex::make(admission.node.membership.index));
  mesh::MeshConfig mesh{.fleet = fleet,
                        .index = index,
                        .key = mesh_keys_->keys().current,
                        .listen_port = config_.mesh_port};
  for (const auto& [id, node] : members_->nodes()) {
    if (id == admission.node.node) continue;
    auto key = mesh::PublicKey::parse(node.membership.wireguard_key);
    auto place = mesh::NodeIndex::make(node.membership.index);
    if (!key || !place) {
      log_warning("link", "node {} is left out of the mesh: {}", id,
                  (!key ? key.error() : place.error()).context);
      continue;
    }
    mesh::MeshPeer peer{.node = id, .index = *place, .key = *std::move(key)};
    if (auto next = mesh::PublicKey::parse(node.membership.wireguard_next_key)) {
      peer.next_key = *std::move(next);
    }
    if (auto endpoint = sys::Address::parse(node.membership.endpoint)) peer.endpoint = *endpoint;
    mesh.peers.push_back(std::move(peer));
  }
  return mesh;
}

async::Task<Result<void>> Link::follow_mesh() {
  CO_TRY(mesh::MeshConfig wanted, wanted_mesh());
  nodes_changed_ = false;
  Result<void> done = co_await keeper_.apply(std::move(wanted));
  if (done) done = co_await save();
  if (!done) nodes_changed_ = true;
  co_return done;
}

// The ring of a node with control is control's own.
async::Task<Result<void>> Link::install_keys() {
  if (config_.runs("control")) {
    keys_changed_ = false;
    co_return Result<void>();
  }
  http::RequestHead head{.method = "GET", .target = "/internal/v1/keys/node-ring"};
  head.headers.set("Host", "control");
  const Deadline deadline = host_.loop.deadline_in(kAnswer);
  CO_TRY(const auto response,
         co_await client_.request(config_.control_socket, std::move(head), {}, deadline));
  CO_TRY(const std::string text,
         co_await async::with_deadline(host_.loop, deadline,
                                       http::read_all(response->body(), kMaxJoinAnswer), "keys"));
  CO_TRY(const json::Value body, json::parse(text));
  CO_TRY(std::string ring, body.require_string("key_ring"));
  CO_TRY_VOID(co_await secrets::KeyFile::install(host_, config_.key_ring, std::move(ring)));
  keys_changed_ = false;
  co_return Result<void>();
}

async::Task<void> Link::tend() {
  for (;;) {
    Result<void> done;
    if (nodes_changed_) done = co_await follow_mesh();
    if (!done) log_error("link", "the mesh: {}; trying again", done.error().context);
    Result<void> keys;
    if (keys_changed_) keys = co_await install_keys();
    if (!keys) log_error("link", "the keys of this node: {}", keys.error().context);
    const bool again = !done || !keys;
    if (again) {
      co_await async::until(host_.loop, host_.loop.now() + kMeshRetry, one_change(work_));
    } else if (!nodes_changed_ && !keys_changed_) {
      co_await one_change(work_);
    }
  }
}

// What this node alone may change of its record.
async::Task<Result<json::Value>> Link::tell_control(std::string what, json::Value body) {
  const NodeId& self = identity_->admission.node.node;
  http::RequestHead head{.method = "POST",
                         .target = fmt::format("/internal/v1/fleet/nodes/{}/{}",
                                               http::percent_encode(self.str()), what)};
  head.headers.set("Host", "control");
  head.headers.set("Content-Type", "application/json");
  const Deadline deadline = host_.loop.deadline_in(kAnswer);
  CO_TRY(const auto response,
         co_await client_.request(config_.control_socket, std::move(head), body.dump(), deadline));
  CO_TRY(const std::string text,
         co_await async::with_deadline(host_.loop, deadline,
                                       http::read_all(response->body(), kMaxJoinAnswer), what));
  const int status = response->head.status;
  if (status == 204) co_return json::Value();
  CO_TRY(json::Value answer, json::parse(text));
  if (status == 200) co_return answer;
  co_return fail(Code::unavailable, "control answers {}: {}", status,
                 answer.optional_string("error").value_or("no reason given"));
}

async::Task<Result<void>> Link::renew() {
  CO_TRY(crypto::RequestedKey key,
         crypto::request_certificate(identity_->admission.node.node.str()));
  CO_TRY(const json::Value answer,
         co_await tell_control("certificate",
                               json::object({{"certificate_request", key.request_pem}})));
  CO_TRY(const model::Admission admission, model::admission_from(answer));
  identity_->admission.certificate_pem = admission.certificate_pem;
  identity_->admission.node = admission.node;
  identity_->private_key_pem = std::move(key.private_key_pem);
  CO_TRY_VOID(co_await save());  // before anybody is shown it
  CO_TRY_VOID(present());
  members_->forget_connections();
  co_return Result<void>();
}

async::Task<void> Link::keep_certificate() {
  for (;;) {
    const auto due = crypto::renewal_due(identity_->admission.certificate_pem);
    const Duration left = due ? *due - host_.clock.wall() : Duration(0);
    if (left > Duration(0)) {
      co_await host_.loop.sleep(std::min(left, kRenewalLook));
      continue;
    }
    const Result<void> done = co_await renew();
    if (done) {
      log_info("link", "this node's certificate was renewed");
      continue;
    }
    log_error("link", "renewal of this node's certificate: {}", done.error().context);
    co_await host_.loop.sleep(kRenewalRetry);
  }
}

// ---- the WireGuard key ----

async::Task<void> Link::keep_key() {
  for (;;) {
    const KeyDecision next = next_key_step(mesh_keys_->keys(), identity_->admission.node.membership,
                                           config_.key_times, host_.clock.wall());
    Duration pause = std::min(next.pause, kKeyLook);
    if (next.step != KeyStep::rest) {
      const Result<void> done = co_await carry_out(next.step);
      if (!done) log_warning("link", "this node's WireGuard key: {}", done.error().context);
      if (done && next.step != KeyStep::announce) continue;
      pause = kKeyRetry;  // or sooner, when the feed tells of what was announced
    }
    co_await async::until(host_.loop, host_.loop.now() + pause, one_change(work_));
  }
}

async::Task<Result<void>> Link::carry_out(KeyStep step) {
  switch (step) {
    case KeyStep::prepare:
      co_return co_await mesh_keys_->prepare_next();
    case KeyStep::announce:
      co_return co_await announce_keys();
    case KeyStep::take:
      co_return co_await take_next_key();
    case KeyStep::rest:
      break;
  }
  co_return Result<void>();
}

async::Task<Result<void>> Link::take_next_key() {
  CO_TRY_VOID(co_await mesh_keys_->switch_to_next(host_.clock.wall()));
  log_info("link", "this node has another WireGuard key from now on");
  co_return co_await follow_mesh();
}

// That a key was taken is told when the others use it: from then on they drop the one before.
async::Task<Result<void>> Link::announce_keys() {
  const mesh::NodeKeys keys = mesh_keys_->keys();
  const std::string current = keys.current.public_key().base64();
  if (identity_->admission.node.membership.wireguard_next_key == current) {
    CO_TRY_VOID(co_await follow_mesh());
    co_await settle_key();
  }
  json::Value body = json::object({{"key", current}});
  if (keys.next) body.set("next_key", keys.next->public_key().base64());
  CO_TRY([[maybe_unused]] const auto answer,
         co_await tell_control("wireguard-key", std::move(body)));
  if (keys.next) co_return co_await mesh_keys_->announced(host_.clock.wall());
  co_return Result<void>();
}

// Until all nodes that are in contact have shaken hands with the present key: a handshake that the
// network lost is made again after 5 s.
async::Task<void> Link::settle_key() {
  const WallTime taken_at = mesh_keys_->keys().taken_at;
  const MonotonicTime end = host_.loop.now() + kKeySettling;
  for (; host_.loop.now() < end; co_await host_.loop.sleep(kKeySettlePoll)) {
    const auto status = co_await keeper_.status();
    if (!status) continue;
    const bool settled = std::ranges::none_of(status->peers, [&](const mesh::PeerStatus& peer) {
      return peer.connected && peer.last_handshake < taken_at;
    });
    if (settled) co_return;
  }
  log_warning("link", "not every node has taken up this node's WireGuard key; going on");
}

// ---- the role ----

async::Task<Result<void>> Link::run(Listeners listeners) {
  CO_TRY_VOID(co_await find_identity());
  const model::Admission& admission = identity_->admission;
  CO_TRY(server_tls_, crypto::TlsServer::create());
  CO_TRY_VOID(server_tls_->ask_clients(admission.ca_pem));
  CO_TRY(client_tls_, crypto::TlsClient::create(admission.ca_pem));
  CO_TRY_VOID(present());
  members_ = std::make_unique<Members>(host_, *client_tls_);
  for (const model::FleetNode& node : admission.nodes) members_->set(node);
  log_info("link", "node {} of fleet {}, {} nodes, at {}", admission.node.node, admission.fleet,
           admission.nodes.size(), admission.node.membership.mesh_address);

  Inbound::Sockets sockets;
  std::optional<OwnControl> own_control;
  if (config_.runs("control")) {
    sockets.control = config_.own_control;
    own_control = OwnControl{admission.node.node, config_.own_control};
  }
  if (config_.runs("worker")) sockets.worker = config_.worker_socket;
  if (config_.runs("router")) sockets.router = config_.router_socket;
  Inbound inbound(host_, *members_, admission.node.node, std::move(sockets));
  ToControl to_control(host_, *members_, config_.users, std::move(own_control));
  ToNodes to_nodes(host_.loop, *members_, config_.users);
  http::Server fleet_server(host_, inbound, {});
  http::Server control_server(host_, to_control, {});
  http::Server nodes_server(host_, to_nodes, {});
  feed::Follower follower(host_, config_.control_socket, "/internal/v1/feed/fleet", "link", *this);

  async::TaskGroup tasks(host_.loop);
  for (auto& listener : listeners.fleet) {
    log_info("link", "other nodes reach this one on {}", listener->local());
    tasks.spawn(fleet_server.serve_tls(std::move(listener), *server_tls_));
  }
  tasks.spawn(nodes_server.serve(std::move(listeners.internal)));
  tasks.spawn(control_server.serve(std::move(listeners.control)));
  tasks.spawn(to_control.return_to_own());
  tasks.spawn(follower.run());
  tasks.spawn(mesh::Keeper::run(keeper_));
  tasks.spawn(tend());
  tasks.spawn(keep_certificate());
  tasks.spawn(keep_key());
  co_await tasks.drained();
  co_return Result<void>();
}

}  // namespace perigee::link
