// Where everything is. PERIGEE_ROOT moves all of it under one directory, so that many nodes live on
// one machine.
#pragma once

#include <string>
#include <string_view>

namespace perigee::config {

struct Paths {
  std::string root;         // PERIGEE_ROOT, or empty
  std::string config_file;  // /etc/perigee/perigeed.toml
  std::string state;        // /var/lib/perigee
  std::string run;          // /run/perigee
  std::string log;          // /var/log/perigee
  std::string cli_file;     // ~/.config/perigee/config.toml

  std::string store() const { return state + "/store.db"; }
  std::string token() const { return state + "/token"; }
  std::string key_ring() const;   // etc/keys.json, apart from the state
  std::string node_ring() const;  // etc/node-keys.json: seals what is this node's own
  std::string identity() const { return state + "/fleet/identity.json"; }
  std::string mesh_key() const { return state + "/fleet/wireguard.json"; }
  std::string ca_certificate() const { return state + "/ca.pem"; }
  std::string ca_key() const { return state + "/ca.key"; }
  std::string blobs() const { return state + "/blobs"; }
  std::string disks() const { return state + "/disks"; }
  std::string machines() const { return state + "/machines"; }
  std::string router_state() const { return state + "/router"; }
  std::string host_cache() const { return state + "/host"; }
  std::string socket(std::string_view role) const;  // run/<role>.sock
  // Control's in a fleet, where control.sock is the link's.
  std::string own_control_socket() const { return socket("own-control"); }
  std::string acme() const { return run + "/acme"; }  // of orders for certificates
  std::string vm_sockets() const { return run + "/vm"; }
  std::string role_log(std::string_view role) const;
  std::string down_marker() const { return run + "/down"; }
};

// `root` may be empty. `home` is for the CLI's file.
Paths paths_under(std::string_view root, std::string_view home);
// From PERIGEE_ROOT and HOME.
Paths paths_from_environment();

}  // namespace perigee::config
