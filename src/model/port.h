// Port: where users reach a service, and what the router does with their connections there. The
// names are those of fly.toml's [[services.ports]]. Plain values, and the checks that hold for all
// who give them (validate_ports). docs/services.md tells what each handler does.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace perigee::model {

enum class Protocol { tcp, udp };
std::string_view name(Protocol protocol);

enum class Handler {
  http,         // requests, each routed by itself
  tls,          // TLS ends at the router
  proxy_proto,  // a PROXY header tells the machine who the client is
  pg_tls,       // TLS as PostgreSQL starts it
};
enum class TlsVersion { v1_2, v1_3 };
enum class ProxyVersion { v1, v2 };

// Of the handlers tls and pg_tls.
struct TlsOptions {
  std::vector<std::string> alpn = {};     // the first that the client offers, too; empty: none
  std::vector<TlsVersion> versions = {};  // empty: all
  bool operator==(const TlsOptions&) const = default;
};

// What becomes of one field of the app's responses: its values from now on; none: it goes.
struct HeaderRule {
  std::string name;
  std::vector<std::string> values = {};
  bool operator==(const HeaderRule&) const = default;
};

// How requests of one client find the machine that the former ones had (docs/load-balancing.md).
enum class AffinityKind {
  none,
  cookie,  // that the router gives out, with the machine's id
  header,  // whose value stands for a machine
};
struct Affinity {
  AffinityKind kind = AffinityKind::none;
  std::string name = {};
  bool operator==(const Affinity&) const = default;
};

// Of a port with the http handler.
struct HttpOptions {
  bool h2_backend = false;  // the app speaks HTTP/2 without TLS, and nothing else (gRPC)
  bool compress = false;    // responses that are worth it, for clients that take it
  bool pristine = false;    // the router adds nothing to responses that tells of itself
  std::vector<HeaderRule> response_headers = {};
  Affinity affinity = {};
  bool operator==(const HttpOptions&) const = default;
};

struct Port {
  int port = 0;
  int end_port = 0;  // the last one of a range; 0: no range
  std::vector<Handler> handlers = {};
  bool force_https = false;
  HttpOptions http_options = {};
  TlsOptions tls = {};
  ProxyVersion proxy_version = ProxyVersion::v1;

  int last() const { return end_port == 0 ? port : end_port; }
  bool contains(int number) const { return port <= number && number <= last(); }
  bool has(Handler handler) const { return std::ranges::count(handlers, handler) > 0; }
  bool operator==(const Port&) const = default;
};

struct Service;
// "services: ports 8000-8010 and 8005 of tcp overlap"
Result<void> validate_ports(const std::vector<Service>& services);

}  // namespace perigee::model
