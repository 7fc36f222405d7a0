#include "router/datagram_carrier.h"

namespace perigee::router {

using backhaul::Datagram;
using backhaul::DatagramKind;

DatagramCarrier::DatagramCarrier(sys::Host& host, State& state, backhaul::Client& nodes,
                                 Waker& waker, std::string own_node, std::uint16_t port)
    : host_(host),
      link_(host, nodes, *this, state.datagrams.link, own_node, port),
      users_(host, state, nodes, link_, waker, own_node),
      machines_(host, state, own_node,
                [this](const std::string& node, const Datagram& datagram,
                       std::string_view payload) { link_.send(node, datagram, payload); }) {}

async::Task<void> DatagramCarrier::run() {
  for (;;) {
    co_await host_.loop.sleep(kFlowSweep);
    users_.expire();
    machines_.expire();
  }
}

void DatagramCarrier::hand_over() {
  users_.stop();
  link_.close();
}

void DatagramCarrier::on_datagram(const std::string& from, const Datagram& datagram,
                                  std::string_view payload) {
  if (datagram.kind == DatagramKind::from_machine) return users_.answered(datagram, payload);
  if (datagram.kind == DatagramKind::refused) return users_.refused(datagram, payload);
  const auto refusal = machines_.deliver(from, datagram, payload);
  if (refusal) link_.send(from, backhaul::refused(datagram, *refusal), payload);
}

}  // namespace perigee::router
