// Nodes of a fleet in a simulation: connections kept and measured, requests handed over, nodes that
// die, drain, or are reached through a third.
#include <doctest/doctest.h>

#include <map>

#include "async/combine.h"
#include "backhaul/client.h"
#include "backhaul/load_feed.h"
#include "backhaul/load_line.h"
#include "backhaul/load_teller.h"
#include "backhaul/load_view.h"
#include "backhaul/server.h"
#include "backhaul/splice.h"
#include "sim/simulation.h"
#include "sys/posix_host.h"

namespace perigee::backhaul {
namespace {

// Counts that a test sets.
struct Counts : LoadSource {
  std::vector<std::string> loaded_machines() const override {
    std::vector<std::string> out;
    for (const auto& [machine, others] : all) out.push_back(machine);
    return out;
  }
  int others(const std::string& machine, const std::string& from) const override {
    const auto found = all.find(machine);
    return found == all.end() ? 0 : found->second - (from == "n1" ? 1 : 0);
  }
  std::map<std::string, int> all;
};

// A node's router, as far as the backhaul knows one: answers for its own machines, and relays.
class Site : public http::Handler, public TunnelHandler {
 public:
  Site(sim::Node& node, std::map<std::string, model::RouteNode> fleet)
      : name(node.name()),
        client(node.host(), node.name()),
        teller(node.host().loop, counts),
        node_(node),
        release(node.host().loop),
        tasks_(node.host().loop) {
    tasks_.spawn(LoadTeller::run(teller));
    client.set_nodes(fleet);
    server = std::make_unique<Server>(node.host(), *this, *this,
                                      [](const sys::Address&) { return true; });
  }
  async::Task<void> handle(http::Request& request, http::ResponseWriter& response) override {
    ++requests;
    const auto hop = hop_of(request.head.headers);
    if (!hop) co_return;
    last = *hop;
    if (hop->node != name) co_return co_await relay(request, response, *hop);
    if (hop->loads) co_return co_await teller.serve(hop->from, response);
    http::ResponseHead head;
    if (refusal) {
      head.status = 503;
      put(head.headers, Told{.refusal = refusal});
    }
    if (request.head.path() == "/hold") {
      co_await async::first_of(node_.host().loop, wait(release), gone(response));
    }
    std::ignore = co_await response.send(std::move(head), name);
  }
  // Says its name, then what it hears.
  async::Task<void> serve_tunnel(Tunnel tunnel, sys::Stream& stream) override {
    last_tunnel = tunnel;
    std::optional<Refusal> why = refusal;
    std::unique_ptr<sys::Stream> onward;
    if (tunnel.hop.node != name) {
      auto next = co_await client.connect(tunnel, node_.host().loop.deadline_in(5s));
      if (next) onward = *std::move(next);
      if (!onward) why = Refusal::unreachable;
    }
    const char answer = answer_byte(why);
    if (!co_await stream.write({&answer, 1}) || why) co_return;
    Traffic traffic;
    if (onward) co_return co_await splice(node_.host().loop, stream, *onward, traffic);
    if (!co_await stream.write(name + ":")) co_return;
    std::vector<char> buffer(1000);
    for (;;) {
      const auto count = co_await stream.read(buffer);
      if (!count || *count == 0) break;
      if (!co_await stream.write({buffer.data(), *count})) co_return;
    }
  }
  Tunnel last_tunnel;
  std::string name;
  Client client;
  Counts counts;
  LoadTeller teller;
  std::unique_ptr<Server> server;
  std::optional<Refusal> refusal;
  int requests = 0;
  int relayed = 0;
  Hop last;

 private:
  static async::Task<void> wait(async::Event& event) { co_await event.wait(); }
  static async::Task<void> gone(http::ResponseWriter& response) { co_await response.closed(); }
  async::Task<void> relay(http::Request& request, http::ResponseWriter& response, Hop hop) {
    ++relayed;
    auto answer = co_await client.forward(hop, request.head, &request.body,
                                          node_.host().loop.deadline_in(10s));
    http::ResponseHead head;
    if (!answer) {
      head.status = 503;
      put(head.headers, Told{.refusal = Refusal::unreachable});
    }
    std::ignore = co_await response.send(std::move(head), answer ? "relayed" : "");
  }
  sim::Node& node_;

 public:
  async::Event release;

 private:
  async::TaskGroup tasks_;
};

struct Fleet {
  explicit Fleet(std::vector<std::string> names) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      nodes.push_back(&simulation.add_node(names[i]));
      known[names[i]] = {.node = NodeId(names[i]),
                         .region = RegionCode("loc"),
                         .mesh_address = sim::SimNetwork::address_of(i),
                         .has_router = true,
                         .has_worker = true};
    }
    for (sim::Node* node : nodes) node->start([this](sim::Node& n) { return run(*this, n); });
  }
  static async::Task<void> run(Fleet& fleet, sim::Node& node) {
    Site site(node, fleet.known);
    fleet.sites[node.name()] = &site;
    struct Leave {
      Fleet& f;
      std::string name;
      ~Leave() { f.sites.erase(name); }
    };
    const Leave leave{fleet, node.name()};
    auto listener = node.host().network.listen(
        *sys::Address::ip(sim::SimNetwork::address_of(node.index()), kPort));
    co_await site.server->serve(*std::move(listener));
    co_await node.host().loop.sleep(3600s);
  }
  Site& site(const std::string& name) { return *sites.at(name); }
  void link(std::size_t a, std::size_t b, Duration rtt) {
    simulation.network().set_link(a, b, {.delay = rtt / 2, .jitter = 0us});
  }
  Forwarded ask(const std::string& from, const std::string& to, const std::string& path = "/",
                Duration patience = 10s) {
    const Hop hop{.app = "a", .machine = "m", .node = to, .port = 80};
    http::RequestHead head{.target = path};
    head.headers.add("Host", "a.test");
    return simulation.run(
        site(from).client.forward(hop, head, nullptr, simulation.loop().deadline_in(patience)));
  }
  Connected connect(const std::string& from, const std::string& to) {
    const Tunnel tunnel{.hop = {.app = "a", .machine = "m", .node = to, .port = 80},
                        .client = *sys::Address::parse("198.51.100.7:5555"),
                        .listener_port = 443,
                        .request_id = "r1"};
    return simulation.run(site(from).client.connect(tunnel, simulation.loop().deadline_in(5s)));
  }
  std::string say(sys::Stream& stream, const std::string& words) {
    struct Go {
      static async::Task<Result<std::string>> run(sys::Stream& s, std::string text) {
        CO_TRY_VOID(co_await s.write(text));
        std::string all;
        std::vector<char> buffer(1000);
        while (all.size() < text.size() + 3) {
          CO_TRY(const std::size_t count, co_await s.read(buffer));
          if (count == 0) break;
          all.append(buffer.data(), count);
        }
        co_return all;
      }
    };
    return simulation.run(Go::run(stream, words)).value_or("");
  }
  std::string body(Forwarded& answer) {
    REQUIRE_MESSAGE(answer.has_value(), answer.error().request.error.context);
    return *simulation.run(http::read_all(answer->response->body(), 1000));
  }

  std::map<std::string, model::RouteNode> known;
  std::map<std::string, Site*> sites;  // of the nodes that run
  sim::Simulation simulation{7};       // after what its nodes' programs use
  std::vector<sim::Node*> nodes;
};

TEST_CASE("hops cross as fields, and what is no hop is refused") {
  const Hop hop{.app = "a", .machine = "m1", .node = "n1", .port = 8080, .relays = 1, .from = "n2"};
  http::Headers headers;
  put(headers, hop);
  CHECK(hop_of(headers).value() == hop);
  for (const char* field : {"app", "machine", "node", "port", "relays", "from"}) {
    http::Headers lacking = headers;
    lacking.remove(fmt::format("perigee-hop-{}", field));
    CHECK_FALSE(hop_of(lacking).has_value());
  }
  headers.set("perigee-hop-relays", "2");
  CHECK_FALSE(hop_of(headers).has_value());
  headers.set("perigee-hop-relays", "1");
  headers.set("perigee-hop-port", "65536");
  CHECK_FALSE(hop_of(headers).has_value());
}

TEST_CASE("what an answer tells crosses as fields, all of which are taken away again") {
  for (const Refusal refusal : {Refusal::at_limit, Refusal::gone, Refusal::not_started,
                                Refusal::not_listening, Refusal::unreachable}) {
    const Told told{.refusal = refusal, .failure = "end_of_stream", .relay = "n3"};
    http::Headers headers;
    headers.add("X-App", "1");
    put(headers, told);
    CHECK(told_by(headers) == told);
    remove_hop_fields(headers);
    CHECK(headers.fields().size() == 1);
  }
  http::Headers later;
  later.add("perigee-hop-refused", "for a reason of a later version");
  CHECK(told_by(later).refusal == Refusal::gone);
}

TEST_CASE("a load is our own requests and what the node tells of others'") {
  LoadView view;
  CHECK(view.in_flight("m") == 0);
  LoadView::Slot one(view, "m");
  view.told("n2", "m", 5);
  CHECK(view.in_flight("m") == 6);
  {
    const LoadView::Slot two(view, "m");
    CHECK(view.in_flight("m") == 7);
  }
  view.told("n2", "other", 2);
  view.told("n3", "third", 3);
  one = {};
  CHECK(view.in_flight("m") == 5);
  view.forget("n2");
  CHECK(view.in_flight("m") == 0);
  CHECK(view.in_flight("third") == 3);
  CHECK(view.size() == 1);
  view.told("n3", "third", 0);
  view.told("n3", "unheard of", 0);
  CHECK(view.size() == 0);
}

TEST_CASE("a load crosses as a line, and what is none is refused") {
  const LoadLine line{.machine = "d8912345", .others = 12};
  CHECK(format_load(line) == "d8912345 12\n");
  CHECK(parse_load("d8912345 12").value() == line);
  for (const char* bad : {"", " ", "m", "m ", " 1", "m -1", "m 1 2", "m 2147483648"}) {
    CHECK_FALSE(parse_load(bad).has_value());
  }
  CHECK_FALSE(parse_load(std::string(kMaxNameBytes + 1, 'm') + " 1").has_value());
}

TEST_CASE("loads are followed while they are used, and known half a round trip later") {
  Fleet fleet({"n1", "n2"});
  fleet.link(0, 1, 200ms);
  fleet.simulation.run_for(3s);
  Counts& counts = fleet.site("n2").counts;
  const auto set = [&](const std::string& machine, int value) {
    counts.all[machine] = value;
    fleet.site("n2").teller.changed(machine);
  };
  set("m1", 4);
  LoadView view;
  LoadFeed feed(fleet.nodes[0]->host(), fleet.site("n1").client, view);
  feed.follow("n2");
  feed.follow("n2");
  fleet.simulation.run_for(210ms);
  CHECK(view.in_flight("m1") == 3);  // without ours
  CHECK(fleet.site("n2").teller.followers() == 1);
  set("m1", 9);
  set("m2", 1);
  fleet.simulation.run_for(110ms);
  CHECK(view.in_flight("m1") == 8);
  CHECK(view.in_flight("m2") == 0);
  for (int i = 0; i < 20; ++i) {  // often: some are left out, never the last
    set("m1", 20 + i);
    fleet.simulation.run_for(5ms);
  }
  fleet.simulation.run_for(150ms);
  CHECK(view.in_flight("m1") == 38);
  fleet.simulation.run_for(kBusyTime + 1s);
  CHECK(feed.followed() == 0);
  CHECK(view.in_flight("m1") == 0);
  CHECK(fleet.site("n2").teller.followers() == 0);
}

TEST_CASE("loads of a node that dies are forgotten, and followed again when it is back") {
  Fleet fleet({"n1", "n2"});
  fleet.simulation.run_for(1s);
  fleet.site("n2").counts.all["m1"] = 4;
  LoadView view;
  LoadFeed feed(fleet.nodes[0]->host(), fleet.site("n1").client, view);
  feed.follow("n2");
  fleet.simulation.run_for(1s);
  CHECK(view.in_flight("m1") == 3);
  fleet.nodes[1]->crash(sim::Crash::power);
  fleet.simulation.run_for(kDead + 2s);
  CHECK(view.in_flight("m1") == 0);
  fleet.nodes[1]->restart();
  fleet.simulation.run_for(1s);
  fleet.site("n2").counts.all["m1"] = 6;
  fleet.simulation.run_for(10s);
  CHECK(view.in_flight("m1") == 5);
}

TEST_CASE("a router that drains ends what it tells of loads") {
  Fleet fleet({"n1", "n2"});
  fleet.simulation.run_for(1s);
  LoadView view;
  LoadFeed feed(fleet.nodes[0]->host(), fleet.site("n1").client, view);
  feed.follow("n2");
  fleet.simulation.run_for(1s);
  REQUIRE(fleet.site("n2").teller.followers() == 1);
  fleet.site("n2").teller.end();
  fleet.simulation.run_for(200ms);
  CHECK(fleet.site("n2").teller.followers() == 0);
}

TEST_CASE("connections are warm before the first request, and more come with the first") {
  Fleet fleet({"n1", "n2"});
  fleet.link(0, 1, 200ms);
  fleet.simulation.run_for(3s);
  CHECK(fleet.site("n2").server->connections() == kIdleConnections);
  const MonotonicTime begun = fleet.simulation.now();
  auto answer = fleet.ask("n1", "n2");
  CHECK(fleet.body(answer) == "n2");
  CHECK(fleet.simulation.now() - begun < 210ms);  // one round trip
  fleet.simulation.run_for(3s);
  CHECK(fleet.site("n2").server->connections() == kBusyConnections);
  fleet.simulation.run_for(kBusyTime + 3s);
  CHECK(fleet.site("n2").server->connections() == kIdleConnections);
}

TEST_CASE("a node to which there is no way at all holds nothing up") {
  const auto host = sys::PosixHost::open(1).value();
  Client client(host->host(), "n1");
  // Refused by the kernel at once, as where the mesh's interface is away.
  client.set_nodes({{"n2",
                     {.node = NodeId("n2"),
                      .region = RegionCode("loc"),
                      .mesh_address = "255.255.255.255",
                      .has_router = true,
                      .has_worker = true}}});
  struct Wait {
    static async::Task<void> run(async::Loop& loop) { co_await loop.sleep(50ms); }
  };
  host->loop().run(Wait::run(host->loop()));
  CHECK_FALSE(client.reaches("n2"));
}

TEST_CASE("round trips are measured, and follow the path") {
  Fleet fleet({"n1", "n2"});
  fleet.link(0, 1, 80ms);
  fleet.simulation.run_for(10ms);
  CHECK_FALSE(fleet.site("n1").client.rtt("n2").has_value());
  fleet.simulation.run_for(5s);
  CHECK(fleet.site("n1").client.rtt("n2") == 80ms);
  fleet.link(0, 1, 160ms);
  fleet.simulation.run_for(15s);
  CHECK(fleet.site("n1").client.rtt("n2") == 160ms);
}

TEST_CASE("a refusal says why, and that nothing was sent") {
  Fleet fleet({"n1", "n2"});
  fleet.simulation.run_for(1s);
  fleet.site("n2").refusal = Refusal::at_limit;
  const auto answer = fleet.ask("n1", "n2");
  REQUIRE_FALSE(answer.has_value());
  CHECK(answer.error().told.refusal == Refusal::at_limit);
  CHECK_FALSE(answer.error().request.sent);
}

TEST_CASE("a dead node is noticed within two seconds, whatever it was doing") {
  Fleet fleet({"n1", "n2"});
  fleet.link(0, 1, 100ms);
  fleet.simulation.run_for(2s);
  std::ignore = fleet.ask("n1", "n2");
  fleet.nodes[1]->crash(sim::Crash::power);
  const MonotonicTime died = fleet.simulation.now();
  while (fleet.site("n1").client.reaches("n2")) fleet.simulation.run_for(10ms);
  CHECK(fleet.simulation.now() - died < 2s);
  const auto answer = fleet.ask("n1", "n2");
  REQUIRE_FALSE(answer.has_value());
  CHECK_FALSE(answer.error().request.sent);
  fleet.nodes[1]->restart();
  fleet.simulation.run_for(6s);  // the longest pause between two dials
  auto back = fleet.ask("n1", "n2");
  CHECK(fleet.body(back) == "n2");
}

TEST_CASE("what runs when a node dies fails as sent, and not before it is dead for sure") {
  Fleet fleet({"n1", "n2"});
  fleet.simulation.run_for(1s);
  fleet.simulation.after(1s, [&] { fleet.nodes[1]->crash(sim::Crash::power); });
  const MonotonicTime begun = fleet.simulation.now();
  const auto answer = fleet.ask("n1", "n2", "/hold", 60s);
  REQUIRE_FALSE(answer.has_value());
  CHECK(answer.error().request.sent);
  CHECK(answer.error().request.error.code == Code::unavailable);
  CHECK(fleet.simulation.now() - begun > kDead);
  CHECK(fleet.simulation.now() - begun < kDead + 3s);
}

TEST_CASE("a killed router's requests fail at once, and the next ones come when it is back") {
  Fleet fleet({"n1", "n2"});
  fleet.simulation.run_for(1s);
  fleet.simulation.after(1s, [&] { fleet.nodes[1]->crash(sim::Crash::process); });
  const MonotonicTime begun = fleet.simulation.now();
  const auto cut = fleet.ask("n1", "n2", "/hold", 60s);
  REQUIRE_FALSE(cut.has_value());
  CHECK(cut.error().request.sent);
  CHECK(fleet.simulation.now() - begun < 1100ms);
  fleet.nodes[1]->restart();
  fleet.simulation.run_for(1s);
  auto back = fleet.ask("n1", "n2");
  CHECK(fleet.body(back) == "n2");
}

TEST_CASE("a node that can't be reached directly is reached through the nearest other") {
  Fleet fleet({"n1", "n2", "far", "near"});
  fleet.link(0, 2, 200ms);
  fleet.link(0, 3, 20ms);
  fleet.simulation.run_for(2s);
  fleet.simulation.network().partition(0, 1);
  fleet.simulation.run_for(3s);
  CHECK(fleet.site("n1").client.reaches("n2"));
  auto answer = fleet.ask("n1", "n2");
  CHECK(fleet.body(answer) == "relayed");
  CHECK(answer->told.relay == "near");
  CHECK(fleet.site("near").relayed == 1);
  CHECK(fleet.site("n2").last.relays == 1);
  fleet.simulation.network().heal(0, 1);
  fleet.simulation.run_for(10s);
  auto direct = fleet.ask("n1", "n2");
  CHECK(fleet.body(direct) == "n2");
}

TEST_CASE("a relay that does not reach the node either is not asked again at once") {
  Fleet fleet({"n1", "n2", "n3", "n4"});
  fleet.link(0, 3, 50ms);
  fleet.simulation.run_for(2s);
  fleet.simulation.network().partition(0, 1);
  fleet.simulation.network().partition(2, 1);
  fleet.simulation.run_for(3s);
  const auto first = fleet.ask("n1", "n2");
  REQUIRE_FALSE(first.has_value());
  CHECK(first.error().told.refusal == Refusal::unreachable);
  CHECK(fleet.site("n3").relayed == 1);
  auto second = fleet.ask("n1", "n2");
  CHECK(fleet.body(second) == "relayed");
  CHECK(second->told.relay == "n4");
  CHECK(fleet.site("n4").relayed == 1);
}

TEST_CASE("a router that drains ends what it serves, and takes no new connection") {
  Fleet fleet({"n1", "n2"});
  fleet.simulation.run_for(1s);
  Site& there = fleet.site("n2");
  fleet.simulation.after(500ms, [&] { there.release.set(); });
  async::TaskGroup tasks(fleet.simulation.loop());
  struct Drain {
    static async::Task<void> run(Site& site, async::Loop& loop) {
      co_await loop.sleep(200ms);
      co_await site.server->drain(loop.deadline_in(30s));
    }
  };
  tasks.spawn(Drain::run(there, fleet.simulation.loop()));
  auto held = fleet.ask("n1", "n2", "/hold");
  CHECK(fleet.body(held) == "n2");
  fleet.simulation.run_for(2s);
  CHECK(tasks.size() == 0);
  const auto late = fleet.ask("n1", "n2");
  REQUIRE_FALSE(late.has_value());
  CHECK_FALSE(late.error().request.sent);
}

TEST_CASE("a tunnel's opening crosses, and what is none is refused") {
  const Tunnel tunnel{
      .hop = {.app = "a", .machine = "m1", .node = "n1", .port = 5432, .from = "n2"},
      .client = *sys::Address::parse("[2001:db8::7]:5555"),
      .listener_port = 443,
      .request_id = "r1"};
  const std::string bytes = opening(tunnel).value();
  auto header = proxy_protocol::decode(bytes).value().value().header;
  CHECK(tunnel_of(header).value() == tunnel);
  for (std::size_t i = 0; i < header.tlvs.size(); ++i) {
    auto lacking = header;
    lacking.tlvs.erase(lacking.tlvs.begin() + static_cast<std::ptrdiff_t>(i));
    CHECK_FALSE(tunnel_of(lacking).has_value());
  }
  header.source.reset();
  CHECK_FALSE(tunnel_of(header).has_value());
  CHECK_FALSE(refusal_of(answer_byte(std::nullopt)).has_value());
  CHECK(refusal_of(answer_byte(Refusal::at_limit)) == Refusal::at_limit);
  CHECK(refusal_of('\x7f') == Refusal::gone);
}

TEST_CASE("a tunnel carries bytes both ways, and the second need not wait for a connection") {
  Fleet fleet({"n1", "n2"});
  fleet.link(0, 1, 200ms);
  fleet.simulation.run_for(3s);
  auto first = fleet.connect("n1", "n2");
  REQUIRE(first.has_value());
  CHECK(fleet.say(**first, "hello") == "n2:hello");
  CHECK(fleet.site("n2").last_tunnel.client.str() == "198.51.100.7:5555");
  fleet.simulation.run_for(2s);
  const MonotonicTime begun = fleet.simulation.now();
  auto second = fleet.connect("n1", "n2");
  REQUIRE(second.has_value());
  CHECK(fleet.simulation.now() - begun < 210ms);
  CHECK(fleet.say(**second, "again") == "n2:again");
}

TEST_CASE("a tunnel is refused with the reason, and goes through a third node where it must") {
  Fleet fleet({"n1", "n2", "n3"});
  fleet.simulation.run_for(2s);
  fleet.site("n2").refusal = Refusal::at_limit;
  const auto refused = fleet.connect("n1", "n2");
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().told.refusal == Refusal::at_limit);
  fleet.site("n2").refusal.reset();
  fleet.simulation.network().partition(0, 1);
  fleet.simulation.run_for(3s);
  auto relayed = fleet.connect("n1", "n2");
  REQUIRE(relayed.has_value());
  CHECK(fleet.say(**relayed, "hello") == "n2:hello");
  CHECK(fleet.site("n2").last_tunnel.hop.relays == 1);
}

TEST_CASE("only who is allowed is served") {
  Fleet fleet({"n1", "n2"});
  fleet.simulation.run_for(1s);
  Site& there = fleet.site("n2");
  Server strict(fleet.nodes[1]->host(), there, there, [](const sys::Address& peer) {
    return peer.host() != sim::SimNetwork::address_of(0);
  });
  const auto at = *sys::Address::ip(sim::SimNetwork::address_of(1), 9999);
  async::TaskGroup tasks(fleet.simulation.loop());
  tasks.spawn(strict.serve(*fleet.nodes[1]->host().network.listen(at)));
  struct Knock {
    static async::Task<Result<std::size_t>> run(sim::Node& node, sys::Address to) {
      CO_TRY(auto stream,
             co_await node.host().network.connect(to, node.host().loop.deadline_in(5s)));
      CO_TRY_VOID(co_await stream->write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
      std::vector<char> buffer(100);
      co_return co_await stream->read(buffer);
    }
  };
  const auto refused = fleet.simulation.run(Knock::run(*fleet.nodes[0], at));
  CHECK((!refused || *refused == 0));
  CHECK(strict.connections() == 0);
  const auto served = fleet.simulation.run(Knock::run(*fleet.nodes[1], at));
  REQUIRE(served.has_value());
  CHECK(*served > 0);  // its settings
}

TEST_CASE("nodes that stay keep their connections when others come and go") {
  Fleet fleet({"n1", "n2", "n3"});
  fleet.simulation.run_for(2s);
  auto known = fleet.known;
  known.erase("n3");
  fleet.site("n1").client.set_nodes(known);
  CHECK(fleet.site("n1").client.rtt("n2").has_value());
  CHECK_FALSE(fleet.site("n1").client.reaches("n3"));
  const auto gone = fleet.ask("n1", "n3");
  REQUIRE_FALSE(gone.has_value());
  CHECK_FALSE(gone.error().request.sent);
  auto stays = fleet.ask("n1", "n2");
  CHECK(fleet.body(stays) == "n2");
}

}  // namespace
}  // namespace perigee::backhaul
