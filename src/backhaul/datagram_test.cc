// Datagrams between routers: as bytes, and carried between the nodes of a simulation.
#include "backhaul/datagram.h"

#include <doctest/doctest.h>

#include <map>

#include "backhaul/datagram_link.h"
#include "backhaul/limits.h"
#include "backhaul/server.h"
#include "sim/simulation.h"

namespace perigee::backhaul {
namespace {

sys::Address address(std::string_view text) {
  return *sys::Address::parse(text);
}

Datagram to_machine() {
  return {.client = address("203.0.113.9:5353"),
          .listener = address("198.51.100.1:53"),
          .machine = "148e21ea7d9589",
          .app = "web",
          .port = 8053};
}

std::vector<Datagram> samples() {
  Datagram relayed = to_machine();
  relayed.node = "syd-1";
  relayed.from = "ams-1";
  Datagram answer{.kind = DatagramKind::from_machine,
                  .client = address("[2001:db8::9]:5353"),
                  .listener = address("[2001:db8::1]:53"),
                  .machine = "148e21ea7d9589"};
  Datagram refused = answer;
  refused.kind = DatagramKind::refused;
  refused.refusal = Refusal::not_started;
  return {to_machine(), relayed, answer, refused};
}

TEST_CASE("a datagram is the same after it has crossed, whatever is in it") {
  for (const Datagram& sample : samples()) {
    for (const std::string& payload :
         {std::string(), std::string("q\0\r\n", 4), std::string(kMaxDatagram, 'x')}) {
      const auto bytes = encode(sample, payload);
      REQUIRE_MESSAGE(bytes.has_value(), bytes.error().context);
      const auto decoded = decode_datagram(*bytes);
      REQUIRE_MESSAGE(decoded.has_value(), decoded.error().context);
      CHECK(decoded->datagram == sample);
      CHECK(decoded->payload == payload);
    }
  }
}

TEST_CASE("a header leaves room for 1280 bytes in one packet of the mesh") {
  constexpr std::size_t kPacket = 1420 - 40 - 8;  // IPv6 and UDP inside WireGuard
  Datagram datagram = to_machine();
  CHECK(encode(datagram, {})->size() == 62);
  datagram.client = address("[2001:db8::9]:5353");
  datagram.listener = address("[2001:db8::1]:53");
  CHECK(encode(datagram, {})->size() == 86);
  CHECK(encode(datagram, std::string(1280, 'x'))->size() <= kPacket);
}

TEST_CASE("what is none, or is too long, is refused") {
  CHECK_FALSE(encode(to_machine(), std::string(kMaxDatagram + 1, 'x')).has_value());
  Datagram mixed = to_machine();
  mixed.client = address("[2001:db8::9]:5353");
  CHECK_FALSE(encode(mixed, "x").has_value());
  const std::string whole = *encode(to_machine(), "");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(decode_datagram(std::string_view(whole).substr(0, size)).has_value());
  }
  CHECK_FALSE(decode_datagram(whole + std::string(kMaxDatagram + 1, 'x')).has_value());
  const auto without = [](auto change) {
    Datagram changed = to_machine();
    change(changed);
    return *encode(changed, "x");
  };
  CHECK_FALSE(decode_datagram(without([](Datagram& d) { d.machine.clear(); })).has_value());
  CHECK_FALSE(decode_datagram(without([](Datagram& d) { d.app.clear(); })).has_value());
  CHECK_FALSE(decode_datagram(without([](Datagram& d) { d.port = 70'000; })).has_value());
  CHECK_FALSE(decode_datagram(without([](Datagram& d) { d.node = "n2"; })).has_value());
  CHECK_FALSE(
      decode_datagram(without([](Datagram& d) { d.kind = DatagramKind::refused; })).has_value());
  CHECK_FALSE(decode_datagram(without([](Datagram& d) {
                d.machine = std::string(kMaxNameBytes + 1, 'm');
              })).has_value());
}

// ---- carried ----

struct Seen {
  std::string from{};
  Datagram datagram{};
  std::string payload{};
};

// A node's router, as far as its peers' pings need one.
class Site : public http::Handler, public TunnelHandler, public DatagramReceiver {
 public:
  Site(sim::Node& node, const std::map<std::string, model::RouteNode>& fleet)
      : client(node.host(), node.name()),
        link(node.host(), client, *this, counters, node.name()),
        server(node.host(), *this, *this, [](const sys::Address&) { return true; }) {
    client.set_nodes(fleet);
    link.set_nodes(fleet);
  }
  async::Task<void> handle(http::Request&, http::ResponseWriter& response) override {
    std::ignore = co_await response.send({.status = 404}, {});
  }
  async::Task<void> serve_tunnel(Tunnel, sys::Stream&) override { co_return; }
  void on_datagram(const std::string& from, const Datagram& datagram,
                   std::string_view payload) override {
    seen.push_back({from, datagram, std::string(payload)});
  }
  std::vector<Seen> seen;
  Client client;
  DatagramLink::Counters counters;
  DatagramLink link;
  Server server;
};

struct Fleet {
  Fleet() {
    for (const std::string name : {"n1", "n2", "n3", "stranger"}) {
      const std::size_t index = nodes.size();
      nodes.push_back(&simulation.add_node(name));
      if (name == "stranger") break;
      known[name] = {.node = NodeId(name),
                     .region = RegionCode("loc"),
                     .mesh_address = sim::SimNetwork::address_of(index),
                     .has_router = true,
                     .has_worker = true};
    }
    for (std::size_t i = 0; i < 3; ++i) start(i);
    simulation.run_for(2s);  // for the first pings
  }
  void start(std::size_t index) {
    nodes[index]->start([this](sim::Node& node) { return run(*this, node); });
  }
  static async::Task<void> run(Fleet& fleet, sim::Node& node) {
    Site site(node, fleet.known);
    fleet.sites[node.name()] = &site;
    auto listener = node.host().network.listen(
        *sys::Address::ip(sim::SimNetwork::address_of(node.index()), kPort));
    co_await site.server.serve(*std::move(listener));
  }
  Site& site(const std::string& name) { return *sites.at(name); }

  sim::Simulation simulation{7};
  std::vector<sim::Node*> nodes;
  std::map<std::string, model::RouteNode> known;
  std::map<std::string, Site*> sites;
};

TEST_CASE_FIXTURE(Fleet, "a datagram arrives with its client, and an answer where it came from") {
  CHECK(site("n1").link.send("n2", to_machine(), "question"));
  simulation.run_for(1s);
  REQUIRE(site("n2").seen.size() == 1);
  const Seen seen = site("n2").seen[0];
  CHECK(seen.from == "n1");
  CHECK(seen.datagram == to_machine());
  CHECK(seen.payload == "question");
  Datagram answer = seen.datagram;
  answer.kind = DatagramKind::from_machine;
  CHECK(site("n2").link.send(seen.from, answer, "answer"));
  simulation.run_for(1s);
  REQUIRE(site("n1").seen.size() == 1);
  CHECK(site("n1").seen[0].datagram.client == to_machine().client);
  CHECK(site("n1").seen[0].datagram.listener == to_machine().listener);
  CHECK(site("n1").seen[0].payload == "answer");
}

TEST_CASE_FIXTURE(Fleet, "one for this node itself takes no network") {
  CHECK(site("n1").link.send("n1", to_machine(), "here"));
  REQUIRE(site("n1").seen.size() == 1);
  CHECK(site("n1").seen[0].from == "n1");
  CHECK(site("n1").counters.sent == 0);
}

TEST_CASE_FIXTURE(Fleet, "where two nodes are cut off from each other, a third passes it on") {
  simulation.network().partition(0, 1);
  simulation.run_for(10s);  // until pings have told so
  CHECK(site("n1").link.send("n2", to_machine(), "around"));
  simulation.run_for(1s);
  REQUIRE(site("n2").seen.size() == 1);
  CHECK(site("n2").seen[0].from == "n1");
  CHECK(site("n3").counters.relayed == 1);
  CHECK(site("n3").seen.empty());
  CHECK(site("n2").link.send("n1", to_machine(), "and back"));
  simulation.run_for(1s);
  REQUIRE(site("n1").seen.size() == 1);
  CHECK(site("n1").seen[0].payload == "and back");
  simulation.network().partition(2, 1);
  simulation.run_for(10s);
  CHECK(site("n1").link.send("n2", to_machine(), "nobody gets there"));
  simulation.run_for(1s);
  REQUIRE(site("n1").seen.size() == 2);
  CHECK(site("n1").seen[1].datagram == refused(to_machine(), Refusal::unreachable));
  CHECK(site("n1").seen[1].payload == "nobody gets there");
  simulation.network().partition(2, 0);
  simulation.run_for(10s);
  CHECK_FALSE(site("n3").link.send("n2", to_machine(), "no way"));
}

TEST_CASE_FIXTURE(Fleet, "who is no node of the fleet, or forges one, gets nothing through") {
  auto socket = nodes[3]->host().network.open_datagrams(
      *sys::Address::ip(sim::SimNetwork::address_of(3), kPort), sys::Binding::present);
  REQUIRE(socket.has_value());
  const auto n2 = *sys::Address::ip(sim::SimNetwork::address_of(1), kPort);
  REQUIRE((*socket)->send(*encode(to_machine(), "hello"), n2).has_value());
  // A node's address, but not its router's port.
  auto other = nodes[0]->host().network.open_datagrams(
      *sys::Address::ip(sim::SimNetwork::address_of(0), 9999), sys::Binding::present);
  REQUIRE((*other)->send(*encode(to_machine(), "hello"), n2).has_value());
  simulation.run_for(1s);
  CHECK(site("n2").seen.empty());
  CHECK(site("n2").counters.strangers == 2);
}

TEST_CASE_FIXTURE(Fleet, "on a lossy path some are lost, some come twice, and none is broken") {
  simulation.network().set_link(
      0, 1, {.delay = 40ms, .jitter = 20ms, .loss_per_mille = 100, .duplicate_per_mille = 50});
  for (int i = 0; i < 500; ++i) {
    std::ignore = site("n1").link.send("n2", to_machine(), fmt::format("number {}", i));
    simulation.run_for(5ms);
  }
  simulation.run_for(1s);
  std::map<std::string, int> times;
  for (const Seen& seen : site("n2").seen) {
    CHECK(seen.datagram == to_machine());
    CHECK(seen.payload.starts_with("number "));
    ++times[seen.payload];
  }
  CHECK(times.size() < 500);
  CHECK(times.size() > 350);
  CHECK(site("n2").seen.size() > times.size());
}

}  // namespace
}  // namespace perigee::backhaul
