// Keeper: keeps this node's place in the WireGuard mesh as it is wanted. Owned by the role `link`;
// one loop.
//
//   mesh::Keeper keeper(host, {.interface = mesh::interface_name(state), .log = run + "/wg.log"});
//   group.spawn(mesh::Keeper::run(keeper));               // repairs, and follows peers' new keys
//   CO_TRY_VOID(co_await keeper.apply(config));           // at each change of the fleet's nodes
//   CO_TRY(const mesh::Status status, co_await keeper.status());
//
// apply() may be cut off at any point and called again, by another process too: it compares with
// the device and changes what differs (plan.h). Destroying a Keeper leaves the mesh as it is, so
// that traffic flows while the role restarts; leave() takes it down.
//
// Decision record: docs/decisions/0019-mesh.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/event.h"
#include "async/task.h"
#include "base/id.h"
#include "base/result.h"
#include "mesh/address_plan.h"
#include "mesh/device.h"
#include "mesh/limits.h"
#include "mesh/types.h"
#include "sys/host.h"

namespace perigee::mesh {

// Another node of the fleet.
struct MeshPeer {
  NodeId node;
  NodeIndex index;
  PublicKey key;
  std::optional<PublicKey> next_key = std::nullopt;     // announced (key_file.h)
  std::optional<sys::Address> endpoint = std::nullopt;  // none: behind NAT, it calls us
  bool operator==(const MeshPeer&) const = default;
};

// This node's view of the fleet: what the mesh is made from.
struct MeshConfig {
  FleetPrefix fleet;
  NodeIndex index;  // ours
  PrivateKey key;   // ours
  std::uint16_t listen_port = 51820;
  int mtu = kDefaultMtu;
  std::vector<MeshPeer> peers = {};  // without us
  bool operator==(const MeshConfig&) const = default;
};

struct PeerStatus {
  NodeId node;
  std::string endpoint;     // where it is now; empty: unknown
  WallTime last_handshake;  // 0: none yet
  std::uint64_t received_bytes = 0;
  std::uint64_t sent_bytes = 0;
  bool connected = false;  // a handshake within kContactLost
  bool operator==(const PeerStatus&) const = default;
};

struct Status {
  std::string interface;
  std::string address;  // this node's mesh address
  std::string kind;     // "kernel", "wireguard-go"
  std::vector<PeerStatus> peers = {};
};

// `invalid_argument` where two nodes share an index or a key, or a value is out of bounds. Pure.
Result<DeviceConfig> device_config(const MeshConfig& mesh);

class Keeper {
 public:
  Keeper(sys::Host& host, DeviceOptions options);

  async::Task<Result<void>> apply(MeshConfig mesh);
  // `not_found` before the first apply().
  async::Task<Result<Status>> status();
  // Takes interface and process away; run() has nothing to do until the next apply().
  async::Task<Result<void>> leave();

  // Looks again every kRepairInterval, and every kRotationInterval while a peer announces a new
  // key; the owner's task.
  static async::Task<void> run(Keeper& keeper);

 private:
  async::Task<Result<void>> converge();
  async::Task<Result<DeviceState>> read_device();
  async::Task<void> raise_guard();
  static async::Task<void> pause(Keeper& keeper);
  static async::Task<void> wait_for_wish(Keeper& keeper);

  sys::Host& host_;
  DeviceOptions options_;
  async::Semaphore one_{host_.loop, 1};  // apply(), run() and leave() take turns
  async::Notify wish_{host_.loop};       // apply() has been called
  std::optional<MeshConfig> config_;
  std::unique_ptr<Device> device_;
  std::optional<FleetPrefix> guarded_;  // that raise_guard() has seen to
  bool rotating_ = false;
};

}  // namespace perigee::mesh
