// Users' UDP in a simulated fleet: nodes that die, paths that are cut or lossy, many clients at
// once.
#include <doctest/doctest.h>

#include "async/task_group.h"
#include "backhaul/server.h"
#include "router/datagram_carrier.h"
#include "sim/simulation.h"

namespace perigee::router {
namespace {

constexpr std::uint16_t kUsersPort = 5300;
constexpr std::uint16_t kMachinePort = 8053;
constexpr std::size_t kRouters = 3;

std::string machine_ip(std::size_t node) {
  return fmt::format("10.88.{}.2", node);
}

// A node's router, of which only datagrams count; others' pings are answered.
class Site : public http::Handler, public backhaul::TunnelHandler {
 public:
  Site(sim::Node& node, routing::TablePtr table)
      : state(node.host().loop),
        nodes(node.host(), node.name()),
        waker(node.host(), state, *sys::Address::unix_path("/control.sock"), "loc"),
        carrier(node.host(), state, nodes, waker, node.name(), backhaul::kPort),
        server(node.host(), *this, *this, [](const sys::Address&) { return true; }),
        tasks(node.host().loop) {
    state.table = std::move(table);
    nodes.set_nodes(state.table->nodes());
    carrier.set_nodes(state.table->nodes());
    const std::string ip = sim::SimNetwork::address_of(node.index());
    auto& network = node.host().network;
    auto users = network.open_datagrams(*sys::Address::ip(ip, kUsersPort), sys::Binding::present);
    tasks.spawn(carrier.serve(*std::move(users)));
    tasks.spawn(carrier.run());
    tasks.spawn(server.serve(*network.listen(*sys::Address::ip(ip, backhaul::kPort))));
  }
  async::Task<void> handle(http::Request&, http::ResponseWriter& response) override {
    std::ignore = co_await response.send({.status = 404}, {});
  }
  async::Task<void> serve_tunnel(backhaul::Tunnel, sys::Stream&) override { co_return; }

  State state;
  backhaul::Client nodes;
  Waker waker;
  DatagramCarrier carrier;
  backhaul::Server server;
  async::TaskGroup tasks;
};

// A machine on a node, which says its name to what it gets.
async::Task<void> play_machine(sim::Node& node) {
  auto socket = node.host().network.open_datagrams(
      *sys::Address::ip(machine_ip(node.index()), kMachinePort), sys::Binding::present);
  std::string buffer(2000, '\0');
  for (;;) {
    const auto got = co_await (*socket)->receive(buffer);
    if (!got) co_return;
    std::ignore = (*socket)->send(node.name() + ":" + buffer.substr(0, got->size), got->from);
  }
}

// n0 has the users and no machine; n1 is nearer than n2.
struct Fleet {
  explicit Fleet(std::uint64_t seed) : simulation(seed) {
    auto made = std::make_shared<routing::RouteTable>();
    model::AppRoute route;
    route.app = AppName("app");
    model::Service service;
    service.protocol = model::Protocol::udp;
    service.internal_port = kMachinePort;
    service.ports = {{.port = kUsersPort}};
    route.services = {service};
    route.shared_ports = {fmt::format("udp/{}", kUsersPort)};
    for (std::size_t i = 0; i < kRouters; ++i) {
      const std::string name = fmt::format("n{}", i);
      simulation.add_node(name);
      made->set_node({.node = NodeId(name),
                      .region = RegionCode("loc"),
                      .mesh_address = sim::SimNetwork::address_of(i),
                      .has_router = true,
                      .has_worker = true});
      if (i == 0) continue;
      route.targets.push_back({.machine = MachineId("m" + name),
                               .instance_id = "i",
                               .region = RegionCode("loc"),
                               .node = NodeId(name),
                               .address = machine_ip(i),
                               .state = model::MachineState::started,
                               .listening = true});
    }
    made->set_app(std::make_shared<const model::AppRoute>(std::move(route)));
    table = std::move(made);
    user = &simulation.add_node("user");
    simulation.network().set_link(0, 1, {.delay = 10ms, .jitter = 1ms});
    simulation.network().set_link(0, 2, {.delay = 40ms, .jitter = 1ms});
    for (std::size_t i = 0; i < kRouters; ++i) {
      simulation.node(i).start([this](sim::Node& node) { return run(*this, node); });
    }
    simulation.run_for(2s);  // for the first pings
  }
  static async::Task<void> run(Fleet& fleet, sim::Node& node) {
    Site site(node, fleet.table);
    fleet.sites[node.index()] = &site;
    async::TaskGroup machine(node.host().loop);
    if (node.index() > 0) machine.spawn(play_machine(node));
    co_await node.host().loop.sleep(24h);
  }
  static sys::Address users_port() {
    return *sys::Address::ip(sim::SimNetwork::address_of(0), kUsersPort);
  }

  sim::Simulation simulation;
  routing::TablePtr table;
  sim::Node* user = nullptr;
  std::array<Site*, kRouters> sites{};
};

// Says "<name>/<number>" and collects what comes back.
struct User {
  User(Fleet& fleet, std::string own_name) : name(std::move(own_name)) {
    auto opened = fleet.user->host().network.open_datagrams(*sys::Address::parse("0.0.0.0:0"),
                                                            sys::Binding::present);
    socket = *std::move(opened);
    listening = listen(*this);
    listening.start();
  }
  static async::Task<void> listen(User& self) {
    std::string buffer(2000, '\0');
    for (;;) {
      const auto got = co_await self.socket->receive(buffer);
      if (!got) co_return;
      CHECK(got->from == Fleet::users_port());
      self.heard.push_back(buffer.substr(0, got->size));
    }
  }
  void say() {
    REQUIRE(socket->send(fmt::format("{}/{}", name, ++said), Fleet::users_port()).has_value());
  }
  // Who gave the newest answer.
  std::string last_machine() const {
    return heard.empty() ? "" : heard.back().substr(0, heard.back().find(':'));
  }
  std::string name;
  int said = 0;
  std::vector<std::string> heard;
  std::unique_ptr<sys::Datagrams> socket;
  async::Task<void> listening;
};

void talk(Fleet& fleet, User& user, int times) {
  for (int i = 0; i < times; ++i) {
    user.say();
    fleet.simulation.run_for(100ms);
  }
}

TEST_CASE("the nearest machine is spoken to, and a flow ends when nothing is said") {
  Fleet fleet(1);
  User user(fleet, "u");
  talk(fleet, user, 10);
  fleet.simulation.run_for(1s);
  REQUIRE(user.heard.size() == 10);
  for (int i = 0; i < 10; ++i)
    CHECK(user.heard[static_cast<std::size_t>(i)] == fmt::format("n1:u/{}", i + 1));
  CHECK(fleet.sites[0]->carrier.user_flows() == 1);
  CHECK(fleet.sites[1]->carrier.machine_flows() == 1);
  CHECK(fleet.sites[1]->state.loads.of("mn1") == 1);
  fleet.simulation.run_for(70s);
  CHECK(fleet.sites[0]->carrier.user_flows() == 0);
  CHECK(fleet.sites[1]->carrier.machine_flows() == 0);
  CHECK(fleet.sites[1]->state.loads.of("mn1") == 0);
}

TEST_CASE("when the machine's node loses power the flow goes on at another within seconds") {
  Fleet fleet(2);
  User user(fleet, "u");
  talk(fleet, user, 10);
  CHECK(user.last_machine() == "n1");
  fleet.simulation.node(1).crash(sim::Crash::power);
  talk(fleet, user, 30);
  CHECK(user.last_machine() == "n2");
  const std::size_t before = user.heard.size();
  talk(fleet, user, 10);
  fleet.simulation.run_for(1s);
  CHECK(user.heard.size() == before + 10);
}

TEST_CASE("a path that is cut is gone around, to the same machine") {
  Fleet fleet(3);
  User user(fleet, "u");
  talk(fleet, user, 10);
  fleet.simulation.network().partition(0, 1);
  talk(fleet, user, 60);
  const std::size_t before = user.heard.size();
  talk(fleet, user, 10);
  fleet.simulation.run_for(1s);
  CHECK(user.heard.size() == before + 10);
  CHECK(user.last_machine() == "n1");
  CHECK(fleet.sites[2]->state.datagrams.link.relayed > 0);
}

TEST_CASE("a router that starts anew takes flows up again") {
  Fleet fleet(4);
  User user(fleet, "u");
  talk(fleet, user, 5);
  for (const std::size_t node : {0U, 1U}) {
    fleet.simulation.node(node).crash(sim::Crash::process);
    fleet.simulation.node(node).restart();
    fleet.simulation.run_for(3s);
    const std::size_t before = user.heard.size();
    talk(fleet, user, 5);
    fleet.simulation.run_for(1s);
    CHECK(user.heard.size() == before + 5);
  }
}

// What holds whatever happens: what a user hears are answers to what it said, from the address that
// it spoke to, and once all is well again each gets all of them.
void storm(std::uint64_t seed) {
  CAPTURE(seed);
  Fleet fleet(seed);
  sim::SimNetwork& network = fleet.simulation.network();
  for (std::size_t a = 0; a < kRouters; ++a) {
    for (std::size_t b = a + 1; b < kRouters; ++b) {
      network.set_link(
          a, b, {.delay = 20ms, .jitter = 15ms, .loss_per_mille = 50, .duplicate_per_mille = 30});
    }
  }
  std::vector<std::unique_ptr<User>> users;
  for (int i = 0; i < 8; ++i) {
    users.push_back(std::make_unique<User>(fleet, fmt::format("user{}", i)));
  }
  for (int round = 0; round < 100; ++round) {
    if (round == 20) network.partition(0, 1);
    if (round == 40) fleet.simulation.node(2).crash(sim::Crash::power);
    if (round == 60) network.heal(0, 1);
    if (round == 70) fleet.simulation.node(2).restart();
    for (const auto& user : users) user->say();
    fleet.simulation.run_for(100ms);
  }
  for (std::size_t a = 0; a < kRouters; ++a) {
    for (std::size_t b = a + 1; b < kRouters; ++b) network.set_link(a, b, {});
  }
  fleet.simulation.run_for(10s);
  for (const auto& user : users) {
    const std::size_t before = user->heard.size();
    talk(fleet, *user, 5);
    fleet.simulation.run_for(1s);
    CHECK(user->heard.size() == before + 5);
    for (const std::string& answer : user->heard) {
      CHECK(answer.substr(answer.find(':') + 1).starts_with(user->name + "/"));
    }
  }
}

TEST_CASE("no user hears what is another's, whatever the network does") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) storm(seed);
}

}  // namespace
}  // namespace perigee::router
