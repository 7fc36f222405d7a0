// ControlPeers: what nodes report to this control, told to the fleet's others: so each shows,
// routes and leads as if all nodes reported to it.
//
// Only what a node itself said is passed on, by way of link.sock. Returns at once: a control that
// is away or slow misses some, and the next report, seconds later, says all of it again. Owned by
// Control, on its loop.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "async/task_group.h"
#include "control/desired_table.h"
#include "http/client.h"
#include "sys/host.h"

namespace perigee::control {

class ControlPeers {
 public:
  // `link_socket` empty: there are no others.
  ControlPeers(sys::Host& host, const DesiredTable& desired, NodeId own, std::string link_socket);
  void tell(const model::NodeReport& report);

 private:
  using Delivery = std::pair<NodeId, NodeId>;  // to the control there, about that node

  std::vector<NodeId> others() const;
  static async::Task<void> deliver(ControlPeers& self, Delivery delivery, std::string body);

  sys::Host& host_;
  const DesiredTable& desired_;
  NodeId own_;
  std::string link_socket_;
  http::Client client_;
  std::set<Delivery> under_way_;
  async::TaskGroup deliveries_;
};

}  // namespace perigee::control
