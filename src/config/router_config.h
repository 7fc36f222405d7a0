// router.toml: what a router serves that runs alone, without a node around it
// (`perigeed router --config FILE`). docs/router-alone.md lists the keys. Pure: the files that it
// names are read by who opens the listeners.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "model/types.h"

namespace perigee::config {

// Paths of PEM files: the chain, leaf first, and its key.
struct CertificateFiles {
  std::string certificate;
  std::string private_key;
  bool operator==(const CertificateFiles&) const = default;
};

// An app whose machines are servers at addresses that the file names.
struct FixedApp {
  AppName name;
  std::vector<std::string> hosts;     // as normal_host has them: lower case, no port
  std::vector<std::string> machines;  // IP addresses
  std::vector<model::Service> services;
  std::vector<std::string> shared_ports;       // that are its alone: "tcp/5432"
  std::vector<CertificateFiles> certificates;  // one for each kind of key; none: no TLS
  bool operator==(const FixedApp&) const = default;
};

struct RouterConfig {
  std::vector<std::string> http{"127.0.0.1:8080"};  // http
  std::vector<std::string> https;                   // https
  std::vector<std::string> tcp;                     // tcp: ports of apps
  std::vector<std::string> udp;                     // udp
  std::vector<std::string> proxy_from;              // proxy_from: networks
  int connections_per_client = 0;                   // connections_per_client; 0: as usual
  RegionCode region{"loc"};                         // region
  std::string domain = "localhost";                 // domain: named in answers about unknown hosts
  std::string access_log;                           // access_log; empty: standard error
  std::size_t threads = 0;                          // threads; 0: one for each core
  Duration drain = 30s;                             // drain: once a successor serves
  uid_t uid = 64990;                                // uid: whom it becomes where root starts it
  gid_t gid = 64990;                                // gid
  std::vector<FixedApp> apps;                       // [[app]]
  std::vector<std::string> warnings;                // unknown keys
};

// `file` is the name used in errors.
Result<RouterConfig> parse_router_config(std::string_view text, std::string_view file);
// Paths in it are from its own directory.
Result<RouterConfig> load_router_config(const std::string& path);

// What such an app is to a router.
model::AppRoute route_of(const FixedApp& app, const RouterConfig& config, const NodeId& node,
                         std::vector<model::RouteCertificate> certificates);

}  // namespace perigee::config
