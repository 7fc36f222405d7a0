// Users' UDP through routers of three nodes in one process, on real sockets: from a client at one
// node to a machine on another, and back.
#include "router/fleet_fixture.h"

namespace perigee::router {
namespace {

// A machine that answers with its name and what it got; remembers from where.
struct UdpMachine {
  UdpMachine(Fixture& fixture, std::string own_name, const std::string& ip)
      : name(std::move(own_name)) {
    auto opened = fixture.h().network.open_datagrams(*sys::Address::ip(ip, fixture.port),
                                                     sys::Binding::present);
    REQUIRE_MESSAGE(opened.has_value(), opened.error().context);
    socket = *std::move(opened);
    if (fixture.port == 0) fixture.port = socket->local().port();
    echoing = echo(*this);
    echoing.start();
  }
  static async::Task<void> echo(UdpMachine& self) {
    std::string buffer(2000, '\0');
    for (;;) {
      const auto received = co_await self.socket->receive(buffer);
      if (!received) co_return;
      self.sources.push_back(received->from);
      const std::string got = buffer.substr(0, received->size);
      std::ignore = self.socket->send(self.name + ":" + got, received->from);
    }
  }
  std::string name;
  std::unique_ptr<sys::Datagrams> socket;
  std::vector<sys::Address> sources;
  async::Task<void> echoing;
};

struct UdpFleet : Fleet {
  UdpFleet() { with_datagrams = true; }
  ~UdpFleet() { sites.clear(); }  // before the machines

  UdpMachine& start_udp(const std::string& name, int node) {
    udp_machines.push_back(std::make_unique<UdpMachine>(*this, name, ip_of(node)));
    place(name, node);
    return *udp_machines.back();
  }
  std::unique_ptr<sys::Datagrams> client(const std::string& ip) {
    return *h().network.open_datagrams(*sys::Address::ip(ip, 0), sys::Binding::present);
  }
  // What comes back, and "" where nothing does in time.
  std::string receive(sys::Datagrams& socket, sys::Address from, Duration patience = 5s) {
    std::string buffer(2000, '\0');
    const auto got = loop().run(async::with_deadline(loop(), loop().deadline_in(patience),
                                                     socket.receive(buffer), "answer"));
    if (!got) return {};
    CHECK(got->from == from);  // the address that it spoke to
    return buffer.substr(0, got->size);
  }
  std::string ask(sys::Datagrams& socket, int node, const std::string& text,
                  Duration patience = 5s) {
    REQUIRE(socket.send(text, sites.at(node).udp).has_value());
    return receive(socket, sites.at(node).udp, patience);
  }
  DatagramCounters counters(int node) { return state(node).datagrams; }

  std::vector<std::unique_ptr<UdpMachine>> udp_machines;
};

TEST_CASE_FIXTURE(UdpFleet,
                  "datagrams reach a machine here and on another node, each client's own") {
  UdpMachine& machine = start_udp("m2", 2);
  start_fleet();
  const auto first = client("127.0.0.21");
  const auto second = client("127.0.0.22");
  for (const std::string text : {"a", "b", "c"}) {
    CHECK(ask(*first, 1, text) == "m2:" + text);
    CHECK(ask(*second, 1, text + text) == "m2:" + text + text);
    CHECK(ask(*first, 2, text) == "m2:" + text);  // at the machine's own node
  }
  // Three flows, each with a port of its own at the machine's node.
  REQUIRE(machine.sources.size() == 9);
  CHECK(machine.sources[0] == machine.sources[3]);
  CHECK(machine.sources[0] != machine.sources[1]);
  CHECK(machine.sources[0] != machine.sources[2]);
  CHECK(state(2).loads.of("m2") == 3);
  CHECK(state(1).remote_loads.in_flight("m2") >= 2);
  CHECK(counters(1).from_users == 6);
  CHECK(counters(1).to_users == 6);
  CHECK(counters(2).to_machines == 9);
  CHECK(counters(1).link.sent == 6);
  const json::Value shown = *status().find("datagrams");
  CHECK(*shown.find("received_from_nodes")->integer() == 6);
  CHECK(*shown.find("from_strangers")->integer() == 0);
}

TEST_CASE_FIXTURE(UdpFleet, "the largest datagram crosses both ways, a larger one is dropped") {
  start_udp("m2", 2);
  start_fleet();
  const auto socket = client("127.0.0.21");
  const std::string largest(backhaul::kMaxDatagram - 3, 'x');  // "m2:" comes with it
  CHECK(ask(*socket, 1, largest) == "m2:" + largest);
  CHECK(ask(*socket, 1, std::string(backhaul::kMaxDatagram + 1, 'x'), 300ms).empty());
  CHECK(counters(1).too_large == 1);
  CHECK(ask(*socket, 1, largest + "12", 300ms).empty());  // its answer is
  CHECK(counters(2).too_large == 1);
}

TEST_CASE_FIXTURE(UdpFleet, "a machine at its limit refuses, and the datagram goes to the next") {
  start_udp("m2", 2);
  start_udp("m3", 3);
  model::Service service;
  service.concurrency = {.soft_limit = 1, .hard_limit = 1};
  route.services = {service};
  start_fleet();
  // Each node's own machine is taken by a client there, which n1 does not know.
  const auto at_2 = client("127.0.0.21");
  CHECK(ask(*at_2, 2, "mine") == "m2:mine");
  const auto at_1 = client("127.0.0.22");
  for (int i = 0; i < 5; ++i) CHECK(ask(*at_1, 1, "x") == "m3:x");
  CHECK(state(3).loads.of("m3") == 1);
  const auto nowhere = client("127.0.0.23");
  CHECK(ask(*nowhere, 1, "y", 300ms).empty());
  CHECK(counters(1).unplaced >= 1);
  CHECK(counters(1).refused >= 1);  // m2's, by whichever of both came to it
}

TEST_CASE_FIXTURE(UdpFleet, "a flow moves on when its machine has gone") {
  start_udp("m2", 2);
  start_fleet();
  const auto socket = client("127.0.0.21");
  CHECK(ask(*socket, 1, "before") == "m2:before");
  route.targets.clear();
  start_udp("m3", 3);
  feed.add(route_line(2));
  for (const int node : {1, 3}) wait_for_only(node, "m3");
  CHECK(ask(*socket, 1, "after") == "m3:after");
  route.targets.clear();
  feed.add(route_line(3));
  wait_for_only(1, "");
  CHECK(ask(*socket, 1, "nobody", 300ms).empty());
  CHECK(counters(1).unplaced == 1);
}

TEST_CASE_FIXTURE(UdpFleet, "nobody but the machine answers a flow") {
  UdpMachine& machine = start_udp("m2", 2);
  start_fleet();
  const auto socket = client("127.0.0.21");
  CHECK(ask(*socket, 1, "x") == "m2:x");
  const auto intruder = client("127.0.0.66");
  const auto port = machine.sources.at(0).port();
  REQUIRE(intruder->send("forged", *sys::Address::ip("127.0.0.1", port)).has_value());
  CHECK(receive(*socket, sites.at(1).udp, 300ms).empty());
  CHECK(counters(2).from_machines == 1);
}

TEST_CASE_FIXTURE(UdpFleet,
                  "an app without a machine that runs has one started, and the drop is counted") {
  start_udp("m2", 2);
  route.targets[0].state = model::MachineState::stopped;
  route.targets[0].listening = false;
  route.targets[0].wakeable = true;
  model::Service service;
  service.autostart = true;
  route.services = {service};
  feed.on_wake = [this] { turn(model::MachineState::started, false); };
  start_fleet();
  const auto socket = client("127.0.0.21");
  CHECK(ask(*socket, 1, "first", 300ms).empty());
  CHECK(feed.wakes.size() == 1);
  CHECK(counters(1).unplaced == 1);
  CHECK(ask(*socket, 1, "again") == "m2:again");
}

}  // namespace
}  // namespace perigee::router
