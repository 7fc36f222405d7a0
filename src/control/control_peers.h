// ControlPeers: the fleet's other controls, by way of link.sock. What nodes and routers report to
// this control is told to them, so each shows, routes and leads as if all reported to it.
//
// Only what a node itself said is passed on. `tell` returns at once: a control that is away or slow
// misses some, and the next report, seconds later, says all of it again. One that has just started
// asks the others what they have heard, and when. Owned by Control, on its loop.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "async/task_group.h"
#include "control/desired_table.h"
#include "control/limits.h"
#include "control/observed_table.h"
#include "http/client.h"
#include "sys/host.h"

namespace perigee::control {

class ControlPeers {
 public:
  // `link_socket` empty: there are no others.
  ControlPeers(sys::Host& host, const DesiredTable& desired, NodeId own, std::string link_socket);

  const NodeId& own() const { return own_; }
  std::vector<NodeId> others() const;
  async::Loop& loop() { return host_.loop; }

  void tell(const model::NodeReport& report);
  // What a router reported of its machines' loads, as it said it.
  void tell_loads(const NodeId& router, const json::Value& loads);
  // A call to the control there; its answer, whatever its status is.
  async::Task<Result<std::unique_ptr<http::Response>>> ask(NodeId control, http::RequestHead head,
                                                           std::string body,
                                                           Duration patience = kPeerPatience);
  // Asks each of the others what it has heard of the nodes, for some seconds.
  async::Task<void> catch_up(ObservedTable& observed);

 private:
  using Delivery = std::pair<NodeId, std::string>;  // to the control there, at that path

  void tell_all(const std::string& target, const std::string& body);
  static async::Task<void> deliver(ControlPeers& self, Delivery delivery, std::string body);
  async::Task<Result<void>> catch_up_with(NodeId control, ObservedTable& observed);

  sys::Host& host_;
  const DesiredTable& desired_;
  NodeId own_;
  std::string link_socket_;
  http::Client client_;
  std::set<Delivery> under_way_;
  async::TaskGroup deliveries_;
};

}  // namespace perigee::control
