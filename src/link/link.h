// Link: the role that makes this node part of its fleet. It joins where it has not, serves its
// sockets, follows the fleet's feed, keeps the mesh and the key ring as control wants them, renews
// its certificate and changes its WireGuard key. Killed at any point, the next one goes on from the
// identity on disk; the mesh carries traffic meanwhile.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/caller.h"
#include "async/event.h"
#include "async/task_group.h"
#include "feed/reader.h"
#include "http/client.h"
#include "link/identity.h"
#include "link/key_rotation.h"
#include "link/members.h"
#include "mesh/keeper.h"
#include "mesh/key_file.h"
#include "sys/host.h"

namespace perigee::link {

struct Config {
  NodeId node;
  RegionCode region;
  std::vector<std::string> roles;  // without "link"
  std::string endpoint;            // of the mesh, as others reach it; empty: behind NAT
  std::uint16_t mesh_port = 51820;
  KeyTimes key_times;
  api::LocalUsers users;
  sys::Address control_socket;  // which this role serves
  sys::Address own_control;     // this node's control's own, where it runs one
  sys::Address worker_socket;
  sys::Address router_socket;
  std::string identity_path;  // <state>/fleet/identity.json
  std::string mesh_key_path;  // <state>/fleet/wireguard.json
  std::string node_ring;      // the node's own: /etc/perigee/node-keys.json
  std::string key_ring;       // control's, or the part of it that this node is given
  mesh::DeviceOptions mesh;

  bool runs(std::string_view role) const;
};

struct Listeners {
  std::vector<std::unique_ptr<sys::Listener>> fleet;  // port 4281
  std::unique_ptr<sys::Listener> internal;            // link.sock
  std::unique_ptr<sys::Listener> control;             // control.sock
};

class Link : private feed::Sink {
 public:
  Link(sys::Host& host, Config config);
  ~Link() override;
  // Serves until cancelled; returns only with an error.
  async::Task<Result<void>> run(Listeners listeners);

 private:
  struct Parts;

  void changed(const std::string& key, const json::Value* value) override;
  void synced(const std::set<std::string>& keys) override;
  void settled() override { work_.notify_all(); }

  async::Task<Result<void>> find_identity();
  async::Task<Result<void>> join_own_fleet();
  Result<void> present();
  async::Task<Result<void>> save();
  Result<mesh::MeshConfig> wanted_mesh() const;
  async::Task<Result<void>> follow_mesh();
  async::Task<Result<void>> install_keys();
  async::Task<Result<void>> renew();
  async::Task<Result<void>> carry_out(KeyStep step);
  async::Task<Result<void>> take_next_key();
  async::Task<Result<void>> announce_keys();
  async::Task<void> settle_key();
  async::Task<Result<json::Value>> tell_control(std::string what, json::Value body);
  // Each for ever.
  async::Task<void> tend();
  async::Task<void> keep_certificate();
  async::Task<void> keep_key();

  sys::Host& host_;
  Config config_;
  async::Notify work_;       // the feed has told something
  async::Semaphore saving_;  // one at a time writes the identity
  std::unique_ptr<secrets::KeyFile> ring_;
  std::unique_ptr<IdentityFile> file_;
  std::unique_ptr<Identity> identity_;
  std::optional<mesh::KeyFile> mesh_keys_;
  std::unique_ptr<crypto::TlsServer> server_tls_;
  std::unique_ptr<crypto::TlsClient> client_tls_;
  std::unique_ptr<Members> members_;
  mesh::Keeper keeper_;
  http::Client client_;
  bool nodes_changed_ = true;  // since the mesh was last brought up to date
  bool keys_changed_ = false;
  std::string key_ids_;  // of the ring, as the feed told them last
};

}  // namespace perigee::link
