// Client: hands requests to the routers of other nodes.
//
//   client.set_nodes(table.nodes());                          // at each change of the routes
//   auto answer = co_await client.forward(hop, head, &body, deadline);
//   if (!answer) … answer.error().refusal: go elsewhere; else as after http::Client::forward
//
// A node that can't be reached is reached through one other, the nearest that is. What the answer's
// fields say of it comes out as Told.
#pragma once

#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "backhaul/hop.h"
#include "backhaul/peer.h"
#include "backhaul/tunnel.h"
#include "http/client.h"
#include "model/fleet.h"

namespace perigee::backhaul {

struct Answer {
  std::unique_ptr<http::Response> response;
  Told told;
};

// As http::RequestFailure, and what the other router said where it refused: nothing was sent to the
// machine then.
struct Failure {
  http::RequestFailure request;
  Told told{};
};
using Forwarded = std::expected<Answer, Failure>;
using Connected = std::expected<std::unique_ptr<sys::Stream>, Failure>;

class Client {
 public:
  Client(sys::Host& host, std::string own_node, std::uint16_t port = kPort);
  ~Client();

  void set_nodes(const std::map<std::string, model::RouteNode>& nodes);  // by name
  async::Task<Forwarded> forward(Hop hop, http::RequestHead head, http::Body* body,
                                 Deadline deadline);
  // A stream of bytes to the machine itself: upgraded connections, and what is no HTTP. A failure
  // says that nothing was sent to the machine.
  async::Task<Connected> connect(Tunnel tunnel, Deadline deadline);
  // Directly, or there may be another that it is reached through.
  bool reaches(const std::string& node) const;
  // Which node's router takes what is for `node` now: its own, or one that passes it on.
  std::optional<std::string> way_to(const std::string& node);
  // Nullopt: not known (yet).
  std::optional<Duration> rtt(const std::string& node) const;

 private:
  struct Known {
    model::RouteNode node;
    std::shared_ptr<Peer> peer;  // requests on their way keep one whose node has gone
    std::map<std::string, MonotonicTime> avoided{};  // relays that did not reach it, until when
  };
  Known* find(const std::string& node);
  Known* find_relay(Known& target);
  std::shared_ptr<Peer> peer_for(Hop& hop);
  async::Task<Result<char>> open(sys::Stream& stream, std::string opening);
  async::Task<Forwarded> relay(Hop hop, http::RequestHead head, http::Body* body,
                               Deadline deadline);
  async::Task<Forwarded> ask(ConnectionPtr connection, Hop hop, http::RequestHead head,
                             http::Body* body, Deadline deadline);

  sys::Host& host_;
  std::string own_node_;
  std::uint16_t port_;
  std::map<std::string, Known> nodes_;
};

}  // namespace perigee::backhaul
