#include "control/control_peers.h"

#include "api/caller.h"
#include "base/log.h"
#include "control/limits.h"
#include "model/json.h"

namespace perigee::control {

ControlPeers::ControlPeers(sys::Host& host, const DesiredTable& desired, NodeId own,
                           std::string link_socket)
    : host_(host),
      desired_(desired),
      own_(std::move(own)),
      link_socket_(std::move(link_socket)),
      client_(host, {}),
      deliveries_(host.loop, kMaxDeliveries) {}

std::vector<NodeId> ControlPeers::others() const {
  std::vector<NodeId> out;
  if (link_socket_.empty()) return out;
  for (const auto& [node, stored] : desired_.nodes()) {
    const auto& membership = stored.value.membership;
    if (node != own_ && membership && membership->runs("control")) out.push_back(node);
  }
  return out;
}

void ControlPeers::tell(const model::NodeReport& report) {
  const std::vector<NodeId> controls = others();
  if (controls.empty()) return;
  const std::string body = model::to_json(report).dump();
  for (const NodeId& control : controls) {
    Delivery delivery{control, report.node};
    if (under_way_.contains(delivery)) continue;
    under_way_.insert(delivery);
    if (!deliveries_.spawn(deliver(*this, delivery, body))) under_way_.erase(delivery);
  }
}

async::Task<void> ControlPeers::deliver(ControlPeers& self, Delivery delivery, std::string body) {
  const auto& [control, about] = delivery;
  http::RequestHead head{
      .method = "POST",
      .target = fmt::format("/internal/v1/nodes/{}/report", http::percent_encode(about.str()))};
  head.headers.set("Host", "control");
  head.headers.set(api::kToControlHeader, control.str());
  const auto link = sys::Address::unix_path(self.link_socket_);
  if (link) {
    const auto answer = co_await self.client_.request(*link, std::move(head), std::move(body),
                                                      self.host_.loop.deadline_in(kPeerPatience));
    if (answer && (*answer)->head.status >= 400)
      log_warning("control", "report of {}: control on {} answers {}", about, control,
                  (*answer)->head.status);
  }
  self.under_way_.erase(delivery);
}

}  // namespace perigee::control
