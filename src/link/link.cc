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
  co_return fail(Code::not_found,
                 "this server has not joined a fleet: run `perigeed --join HOST --token TOKEN`");
}

// Also where the configuration has changed since. While control starts it is asked again.
async::Task<Result<void>> Link::join_own_fleet() {
  if (identity_) {
    const model::FleetNode& node = identity_->admission.node;
    const bool same =
        node.node == config_.node && node.region == config_.region &&
        node.membership.endpoint == config_.endpoint && node.membership.roles == config_.roles &&
        node.membership.wireguard_key == mesh_keys_->keys().current.public_key().base64();
    if (same) co_return Result<void>();
  }
  const MonotonicTime patience = host_.loop.now() + kJoinPatience;
  for (;;) {
    CO_TRY(Candidate self, candidate(config_.node, config_.region, config_.roles, config_.endpoint,
                                     mesh_keys_->keys().current.public_key().base64()));
    auto joined = co_await join_own(host_, config_.control_socket, std::move(self));
    if (joined) {
      identity_ = std::make_unique<Identity>(std::move(joined->identity));
      co_return co_await save();
    }
    if (host_.loop.now() > patience) co_return fail(joined.error().with("this node's control"));
    co_await host_.loop.sleep(kJoinRetry);
  }
}

async::Task<Result<void>> Link::save() {
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
  if (parsed) return members_->set(*parsed);
  log_error("link", "node {}: {}; it stays as it was", node, parsed.error().context);
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

async::Task<Result<void>> Link::renew() {
  const NodeId& self = identity_->admission.node.node;
  CO_TRY(crypto::RequestedKey key, crypto::request_certificate(self.str()));
  http::RequestHead head{.method = "POST",
                         .target = fmt::format("/internal/v1/fleet/nodes/{}/certificate",
                                               http::percent_encode(self.str()))};
  head.headers.set("Host", "control");
  head.headers.set("Content-Type", "application/json");
  const Deadline deadline = host_.loop.deadline_in(kAnswer);
  const json::Value body = json::object({{"certificate_request", key.request_pem}});
  CO_TRY(const auto response,
         co_await client_.request(config_.control_socket, std::move(head), body.dump(), deadline));
  CO_TRY(const std::string text,
         co_await async::with_deadline(
             host_.loop, deadline, http::read_all(response->body(), kMaxJoinAnswer), "renewal"));
  CO_TRY(const json::Value answer, json::parse(text));
  CO_TRY(const model::Admission admission, model::admission_from(answer));
  identity_->admission.certificate_pem = admission.certificate_pem;
  identity_->admission.node = admission.node;
  identity_->private_key_pem = std::move(key.private_key_pem);
  CO_TRY_VOID(co_await save());  // before anybody is shown it
  co_return present();
}

async::Task<void> Link::keep_certificate() {
  for (;;) {
    Duration pause = kRenewalLook;
    const auto end = crypto::not_after(identity_->admission.certificate_pem);
    if (!end || *end - host_.clock.wall() < kRenewBefore) {
      const Result<void> done = co_await renew();
      if (done) log_info("link", "this node's certificate was renewed");
      if (!done) {
        log_error("link", "renewal of this node's certificate: {}", done.error().context);
        pause = kRenewalRetry;
      }
    }
    co_await host_.loop.sleep(pause);
  }
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
  if (config_.runs("control")) sockets.control = config_.control_socket;
  if (config_.runs("worker")) sockets.worker = config_.worker_socket;
  if (config_.runs("router")) sockets.router = config_.router_socket;
  Inbound inbound(host_, *members_, admission.node.node, std::move(sockets));
  ToControl to_control(host_.loop, *members_, config_.users);
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
  if (listeners.control) tasks.spawn(control_server.serve(std::move(listeners.control)));
  tasks.spawn(follower.run());
  tasks.spawn(mesh::Keeper::run(keeper_));
  tasks.spawn(tend());
  tasks.spawn(keep_certificate());
  co_await tasks.drained();
  co_return Result<void>();
}

}  // namespace perigee::link
