// BackhaulHandler: what other nodes' routers hand over, to this node's machines.
//
// One attempt, no second thoughts: where the machine does not take the request, the answer says
// why (backhaul::Refusal) and the router that the user is connected to looks further. It checks the
// machine's hard limit by its own count, which is exact: all requests to the machine pass here. A
// request for another node's machine is relayed once, for a router that can't reach that node.
#pragma once

#include <string>

#include "backhaul/client.h"
#include "backhaul/server.h"
#include "router/place.h"
#include "router/state.h"
#include "sys/host.h"

namespace perigee::router {

class BackhaulHandler : public http::Handler, public backhaul::TunnelHandler {
 public:
  BackhaulHandler(sys::Host& host, State& state, Upstreams& machines, backhaul::Client& nodes,
                  backhaul::LoadTeller& teller, std::string node);
  async::Task<void> handle(http::Request& request, http::ResponseWriter& response) override;
  async::Task<void> serve_tunnel(backhaul::Tunnel tunnel, sys::Stream& stream) override;

 private:
  async::Task<void> serve(http::Request& request, http::ResponseWriter& response);
  async::Task<void> hand_over(http::Request& request, http::ResponseWriter& response, Place place);
  async::Task<void> relay(http::Request& request, http::ResponseWriter& response,
                          backhaul::Hop hop);
  async::Task<backhaul::Connected> reach(backhaul::Tunnel tunnel, Loads::Slot& slot);
  async::Task<void> pass_on(http::Response& from, http::ResponseWriter& to, backhaul::Told told,
                            Duration idle);
  async::Task<void> refuse(http::ResponseWriter& response, backhaul::Told told);
  async::Task<void> fail_request(http::ResponseWriter& response, const Error& error,
                                 backhaul::Told told);

  sys::Host& host_;
  State& state_;
  Upstreams& machines_;
  backhaul::Client& nodes_;
  backhaul::LoadTeller& teller_;
  std::string node_;
};

}  // namespace perigee::router
