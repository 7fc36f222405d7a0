#include "mesh/keeper.h"

#include <algorithm>
#include <set>

#include "async/combine.h"
#include "base/log.h"
#include "mesh/guard.h"
#include "mesh/interface.h"
#include "mesh/plan.h"

namespace perigee::mesh {
namespace {

Result<void> check(const MeshConfig& mesh) {
  if (mesh.mtu < kMinMtu || mesh.mtu > kMaxMtu) {
    return fail(Code::invalid_argument, "mesh MTU {}: it is {} to {}", mesh.mtu, kMinMtu, kMaxMtu);
  }
  if (mesh.peers.size() > kMaxPeers) {
    return fail(Code::resource_exhausted, "{} nodes: a mesh has at most {}", mesh.peers.size(),
                kMaxPeers);
  }
  std::set<NodeIndex> indexes{mesh.index};
  std::set<PublicKey> keys{mesh.key.public_key()};
  for (const MeshPeer& peer : mesh.peers) {
    if (!indexes.insert(peer.index).second) {
      return fail(Code::invalid_argument, "node {}: another node has its index {} too", peer.node,
                  peer.index.value());
    }
    if (!keys.insert(peer.key).second || (peer.next_key && !keys.insert(*peer.next_key).second)) {
      return fail(Code::invalid_argument, "node {}: another node has its WireGuard key too",
                  peer.node);
    }
  }
  return {};
}

InterfaceConfig interface_config(const MeshConfig& mesh, const std::string& name) {
  return {.name = name,
          .mtu = mesh.mtu,
          .address = mesh.fleet.node_address(mesh.index),
          .route = mesh.fleet.prefix()};
}

const PeerState* find_peer(const DeviceState& state, const PublicKey& key) {
  const auto found = std::ranges::find(state.peers, key, &PeerState::key);
  return found == state.peers.end() ? nullptr : &*found;
}

// A node that changes its key has two entries: the one with the newer handshake speaks for it.
const PeerState* entry_of(const MeshPeer& peer, const DeviceState& state) {
  const PeerState* current = find_peer(state, peer.key);
  const PeerState* next = peer.next_key ? find_peer(state, *peer.next_key) : nullptr;
  if (current == nullptr || next == nullptr) return current == nullptr ? next : current;
  return next->last_handshake > current->last_handshake ? next : current;
}

PeerStatus peer_status(const MeshPeer& peer, const DeviceState& state, WallTime now) {
  PeerStatus status{.node = peer.node, .endpoint = {}, .last_handshake = {}};
  const PeerState* seen = entry_of(peer, state);
  if (seen == nullptr) return status;
  if (seen->endpoint) status.endpoint = seen->endpoint->str();
  status.last_handshake = seen->last_handshake;
  status.received_bytes = seen->received_bytes;
  status.sent_bytes = seen->sent_bytes;
  status.connected =
      seen->last_handshake != WallTime{} && now - seen->last_handshake < kContactLost;
  return status;
}

}  // namespace

Result<DeviceConfig> device_config(const MeshConfig& mesh) {
  TRY_VOID(check(mesh));
  DeviceConfig config{.key = mesh.key, .listen_port = mesh.listen_port};
  for (const MeshPeer& peer : mesh.peers) {
    TRY(const Prefix address, Prefix::parse(mesh.fleet.node_address(peer.index)));
    config.peers.push_back({.name = peer.node.str(),
                            .key = peer.key,
                            .next_key = peer.next_key,
                            .endpoint = peer.endpoint,
                            .allowed = {address, mesh.fleet.machines(peer.index)},
                            .keepalive = kKeepalive});
  }
  return config;
}

Keeper::Keeper(sys::Host& host, DeviceOptions options)
    : host_(host), options_(std::move(options)) {}

async::Task<Result<void>> Keeper::apply(MeshConfig mesh) {
  CO_TRY_VOID(device_config(mesh));
  const auto turn = co_await one_.acquire();
  config_ = std::move(mesh);
  wish_.notify_all();
  co_return co_await converge();
}

// What the device is; it is opened or made where it has gone.
async::Task<Result<DeviceState>> Keeper::read_device() {
  if (device_) {
    auto state = co_await device_->read();
    if (state) co_return state;
    log_warning("mesh", "{}; making it anew", state.error().context);
    device_.reset();
  }
  CO_TRY(device_, co_await open_device(host_, options_));
  co_return co_await device_->read();
}

// A mesh without its guard is better than none: what listens on it asks who calls (link), and only
// datagrams could be forged. Told once.
async::Task<void> Keeper::raise_guard() {
  if (guarded_ == config_->fleet) co_return;
  guarded_ = config_->fleet;
  const auto done = co_await mesh::raise_guard(host_, options_.interface, config_->fleet.prefix());
  if (!done) {
    log_warning("mesh", "{}: packets with forged addresses of the fleet are not dropped",
                done.error().context);
  }
}

// The interface first: on one that is down, WireGuard sends nothing. More than one round where a
// change is the first of two (plan.h).
async::Task<Result<void>> Keeper::converge() {
  if (!config_) co_return Result<void>();
  CO_TRY(const DeviceConfig wanted, device_config(*config_));
  CO_TRY(DeviceState seen, co_await read_device());
  CO_TRY_VOID(configure_interface(interface_config(*config_, options_.interface)));
  co_await raise_guard();
  for (int round = 0; round < kMaxRounds; ++round) {
    DeviceChange change = plan(wanted, seen, host_.clock.wall());
    if (change.empty()) break;
    CO_TRY_VOID(co_await device_->change(std::move(change)));
    CO_TRY(seen, co_await read_device());
  }
  rotating_ = awaits_rotation(wanted, seen);
  co_return Result<void>();
}

async::Task<Result<Status>> Keeper::status() {
  const auto turn = co_await one_.acquire();
  if (!config_) co_return fail(Code::not_found, "this node is in no mesh");
  CO_TRY(const DeviceState state, co_await read_device());
  Status status{.interface = options_.interface,
                .address = config_->fleet.node_address(config_->index),
                .kind = std::string(device_->kind())};
  for (const MeshPeer& peer : config_->peers) {
    status.peers.push_back(peer_status(peer, state, host_.clock.wall()));
  }
  co_return status;
}

async::Task<Result<void>> Keeper::leave() {
  const auto turn = co_await one_.acquire();
  config_.reset();
  device_.reset();
  guarded_.reset();
  rotating_ = false;
  co_return co_await remove_device(host_, options_.interface);
}

async::Task<void> Keeper::pause(Keeper& keeper) {
  co_await keeper.host_.loop.sleep(keeper.rotating_ ? kRotationInterval : kRepairInterval);
}

async::Task<void> Keeper::wait_for_wish(Keeper& keeper) {
  co_await keeper.wish_.wait();
}

async::Task<void> Keeper::run(Keeper& keeper) {
  for (;;) {
    co_await async::first_of(keeper.host_.loop, pause(keeper), wait_for_wish(keeper));
    const auto turn = co_await keeper.one_.acquire();
    const auto done = co_await keeper.converge();
    if (!done) log_error("mesh", "{}; trying again", done.error().context);
  }
}

}  // namespace perigee::mesh
