// perigeed.toml: how one server of the fleet runs. Every key has a default; docs/perigeed.toml.md
// lists them.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "config/acme_config.h"
#include "config/store_config.h"

namespace perigee::config {

struct NodeConfig {
  NodeId node;                                                    // node: host name
  RegionCode region{"loc"};                                       // region
  std::vector<std::string> roles{"control", "worker", "router"};  // roles
  // address_prefixes: networks whose addresses are given to apps, and served here on every port
  std::vector<std::string> address_prefixes;
  std::string guest_directory;  // guest_dir: kernel and initrd; default: beside the program

  std::vector<std::string> api_listen{"127.0.0.1:4280"};  // [api] listen

  // [control]: of a deploy, from the app running to its port and its checks answering; the same for
  // an app that is known to listen on another port.
  Duration listen_timeout = 120s;
  Duration wrong_port_timeout = 45s;
  Duration autostop_idle = 60s;  // [control] autostop_idle: without requests, before it may rest
  Duration lost_after = 60s;     // [control] lost_after: a node silent for so long is given up

  std::vector<std::string> http_listen{"127.0.0.1:8080"};   // [router] http
  std::vector<std::string> https_listen{"127.0.0.1:8443"};  // [router] https
  std::vector<std::string> tcp_listen;                      // [router] tcp: ports of apps
  std::vector<std::string> udp_listen;                      // [router] udp
  std::vector<std::string> proxy_from;                      // [router] proxy_from: networks
  int connections_per_client = 0;                           // [router]; 0: as usual
  std::vector<std::string> backhaul_listen;                 // [router] backhaul
  std::string domain = "localhost";                         // [router] domain
  // [router] drain: what a router may still serve that has handed over
  Duration router_drain = 30s;
  uid_t router_uid = 64990;  // [router] uid
  gid_t router_gid = 64990;  // [router] gid

  std::vector<std::string> metrics_listen{"127.0.0.1:9280"};  // [metrics] listen

  std::string network = "10.201.0.0/16";  // [worker] network: the machines' addresses
  int memory_mib = 0;                     // [worker] memory_mib; 0: all but 512 MiB
  std::string accelerator = "auto";       // [worker] accelerator: auto, firecracker, kvm, tcg
  std::vector<std::string> nameservers;   // [worker] nameservers; empty: the host's
  std::vector<std::string> reachable;     // [worker] reachable: private networks that are open
  uid_t first_vm_uid = 0x70000000;        // [worker] first_uid: VMMs run as it and those above

  // The section [fleet] makes this server a node of one: `perigeed link` runs beside its roles.
  bool in_fleet = false;
  std::string fleet_endpoint;  // [fleet] endpoint: of the mesh; empty: behind NAT
  std::vector<std::string> fleet_listen{"0.0.0.0:4281", "[::]:4281"};  // [fleet] listen
  std::uint16_t mesh_port = 51820;                                     // [fleet] mesh_port
  Duration key_life = 90 * 24h;           // [fleet] key_life: of this node's WireGuard key
  Duration key_announcement = 60s;        // [fleet] key_announcement: of a new one, before its use
  Duration certificate_life = 365 * 24h;  // [fleet] certificate_life: that control gives to nodes

  int log_max_mib = 8;          // [logs] max_mib: of one machine's output
  Duration log_keep = 24h * 7;  // [logs] keep
  int log_destroyed_mib = 256;  // [logs] destroyed_mib: of all machines that are gone

  StoreConfig store;  // [store]
  AcmeConfig acme;    // [acme]

  std::vector<std::string> warnings;  // unknown keys
  bool runs(std::string_view role) const;
};

// `host_name` and `program_directory` fill the defaults.
Result<NodeConfig> parse_node_config(std::string_view text, std::string_view file,
                                     std::string_view host_name,
                                     std::string_view program_directory);
// A missing file is an empty one.
Result<NodeConfig> load_node_config(const std::string& path);

}  // namespace perigee::config
