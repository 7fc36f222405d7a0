// Members: the fleet's nodes as this one knows them, and a client to each, over mutual TLS. One
// loop's. Calls under way keep their client, whatever the feed says meanwhile.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "crypto/tls.h"
#include "http/client.h"
#include "link/limits.h"
#include "link/tls_network.h"
#include "model/join.h"
#include "sys/host.h"

namespace perigee::link {

// The way to one node. `host` connects with TLS: http::Client and http::upgrade take it as any.
struct Peer {
  Peer(sys::Host& below, crypto::TlsClient& tls, const NodeId& node)
      : network(below.loop, below.network, tls, model::server_name_of(node)),
        host{below.loop, below.clock,     below.entropy, network,
             below.disk, below.processes, below.pool},
        client(host, {.connect_timeout = kConnect}) {}

  TlsNetwork network;
  sys::Host host;
  http::Client client;
  std::vector<sys::Address> addresses;  // over the mesh, then where it can be reached without it
  std::size_t preferred = 0;            // of `addresses`: the one that answered last
};

class Members {
 public:
  Members(sys::Host& host, crypto::TlsClient& tls) : host_(host), tls_(tls) {}

  void set(const model::FleetNode& node);
  void remove(const NodeId& node) { nodes_.erase(node); }
  const std::map<NodeId, model::FleetNode>& nodes() const { return nodes_; }
  // Whether that certificate is the node's.
  bool is_its(const NodeId& node, std::string_view fingerprint) const;
  bool runs(const NodeId& node, std::string_view role) const;
  std::vector<NodeId> with_role(std::string_view role) const;
  // not_found where the fleet has no such node.
  Result<std::shared_ptr<Peer>> peer(const NodeId& node);
  // This node shows another certificate from now on: connections that showed the last one are used
  // no more.
  void forget_connections() { peers_.clear(); }

 private:
  sys::Host& host_;
  crypto::TlsClient& tls_;
  std::map<NodeId, model::FleetNode> nodes_;
  std::map<NodeId, std::shared_ptr<Peer>> peers_;
};

// Where a node's link listens: on the mesh, and at the host of its endpoint.
std::vector<sys::Address> addresses_of(const model::Membership& membership);

}  // namespace perigee::link
