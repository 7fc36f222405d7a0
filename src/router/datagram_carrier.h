// DatagramCarrier: UDP from users to machines and back, on this node and between nodes. Joins
// UserFlows, MachineFlows and the link to other nodes' routers.
//
//   DatagramCarrier carrier(host, state, nodes, waker, "n1", port);
//   carrier.set_nodes(table.nodes());             // at each change
//   tasks.spawn(carrier.serve(std::move(socket)));   // of a port that users speak to, or of many
//   tasks.spawn(carrier.run());                   // flows that are over end
//
// A datagram for a machine of this node takes the same way as one that came from another node.
// Owned by the router, on its loop.
#pragma once

#include <string>

#include "backhaul/datagram_link.h"
#include "router/machine_flows.h"
#include "router/user_flows.h"

namespace perigee::router {

class DatagramCarrier : public backhaul::DatagramReceiver {
 public:
  DatagramCarrier(sys::Host& host, State& state, backhaul::Client& nodes, Waker& waker,
                  std::string own_node, std::uint16_t port);

  void set_nodes(const routing::NodeMap& nodes) { link_.set_nodes(nodes); }
  async::Task<void> serve(std::unique_ptr<sys::Datagrams> socket) {
    return users_.serve(std::move(socket));
  }
  async::Task<void> run();
  // Another router of this node takes what users and other nodes send from now on. What machines of
  // this node answer still goes back.
  void hand_over();
  void on_datagram(const std::string& from, const backhaul::Datagram& datagram,
                   std::string_view payload) override;

  std::size_t user_flows() const { return users_.size(); }
  std::size_t machine_flows() const { return machines_.size(); }

 private:
  sys::Host& host_;
  backhaul::DatagramLink link_;
  UserFlows users_;
  MachineFlows machines_;
};

}  // namespace perigee::router
