// Attempts: one request, one machine, once: directly where the machine is this node's, through the
// router of its node where it is not; over a connection of its own where the request asks to change
// the protocol. What comes of a failure is the caller's to judge (reach.h).
// Owned by Proxy, on the router's loop.
#pragma once

#include <expected>
#include <string>

#include "backhaul/client.h"
#include "router/transaction.h"
#include "router/upstreams.h"
#include "sys/host.h"

namespace perigee::router {

using Attempt = std::expected<Reached, backhaul::Failure>;

class Attempts {
 public:
  struct Settings {
    std::string node;
    std::string region;
    int http_port = 80;  // as users see them, for X-Forwarded-Port
    int https_port = 443;
  };
  Attempts(sys::Host& host, State& state, Upstreams& machines, backhaul::Client& nodes,
           Settings settings);

  // Fills what the transaction says of the machine. `target` outlives the attempt.
  async::Task<Attempt> make(Transaction& t, const model::RouteTarget& target);
  int listener_port(const Transaction& t) const;

 private:
  http::RequestHead head_for(const Transaction& t) const;
  async::Task<Attempt> here(Transaction& t, const model::RouteTarget& target,
                            http::RequestHead head);
  async::Task<Attempt> there(Transaction& t, http::RequestHead head);
  async::Task<Attempt> upgrade(Transaction& t, const model::RouteTarget& target,
                               http::RequestHead head);
  async::Task<backhaul::Connected> connect(Transaction& t, const model::RouteTarget& target,
                                           Reached& reached);
  async::Task<Attempt> machine_failed(backhaul::Answer answer);

  sys::Host& host_;
  State& state_;
  Upstreams& machines_;
  backhaul::Client& nodes_;
  Settings settings_;
};

}  // namespace perigee::router
