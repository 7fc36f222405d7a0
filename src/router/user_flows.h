// UserFlows: datagrams of the users who are connected to this node, each to a machine of its app,
// and what the machine says, back to the user from the address that it spoke to.
//
// A flow is what one client says to one address of ours, whose app the routes tell. Its machine is
// chosen with its first datagram, as a request's is (routing::choose), and kept while the machine
// is there: it is chosen anew where the machine's router refuses, where its node can't be reached,
// and when the machine has gone from the routes. A refused datagram comes back and goes to the next
// machine; one for which there is none is dropped, as UDP may, and counted. Owned by
// DatagramCarrier, on its loop.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "backhaul/client.h"
#include "backhaul/datagram_link.h"
#include "router/candidates.h"
#include "router/flow_table.h"
#include "router/limits.h"
#include "router/state.h"
#include "router/waker.h"
#include "sys/host.h"

namespace perigee::router {

class UserFlows {
 public:
  UserFlows(sys::Host& host, State& state, backhaul::Client& nodes, backhaul::DatagramLink& link,
            Waker& waker, std::string own_node);
  ~UserFlows();

  // What users send to one port of ours, or to many. Until cancelled, or stopped and all flows are
  // over.
  async::Task<void> serve(std::unique_ptr<sys::Datagrams> socket);
  // What a machine said, or what its router gave back.
  void answered(const backhaul::Datagram& datagram, std::string_view payload);
  void refused(const backhaul::Datagram& datagram, std::string_view payload);
  void expire();
  void stop() { stopped_.set(); }  // takes nothing more from users
  std::size_t size() const { return flows_.size(); }

 private:
  struct Flow;
  async::Task<void> receive_all(sys::Datagrams& socket);
  void take(sys::Datagrams& socket, const sys::Datagrams::Received& received,
            std::string_view payload);
  Flow* flow_of(sys::Datagrams& socket, const sys::Datagrams::Received& received);
  Flow* flow_of(const backhaul::Datagram& datagram);
  std::optional<routing::PortOwner> owner_of(const Flow& flow) const;
  void forward(Flow& flow, std::string_view payload);
  bool settled(Flow& flow) const;
  bool choose(Flow& flow);

  sys::Host& host_;
  State& state_;
  backhaul::Client& nodes_;
  backhaul::DatagramLink& link_;
  Waker& waker_;
  std::string own_node_;
  Candidates candidates_;
  async::Event stopped_;
  FlowTable<Flow> flows_{kMaxUserFlows, kMaxFlowsPerClient};
};

}  // namespace perigee::router
