// What tests of several nodes share: routers of three nodes in one process, on real loopback
// sockets.
#pragma once

#include "router/test_fixture.h"

namespace perigee::router {

// n1 is the one that users are connected to; machines are on n2 and n3.
struct Fleet : Fixture {
  struct Site {
    std::unique_ptr<Router> router;
    std::unique_ptr<async::TaskGroup> tasks;
    sys::Address http;
    sys::Address status;
    sys::Address udp;  // users' UDP port of the app, where it has one
    sys::Address tcp;  // likewise
  };
  ~Fleet() {
    sites.clear();
    finish_writes();
  }

  static std::string ip_of(int number) { return fmt::format("127.0.0.{}", number); }

  void start_site(int number) {
    const std::string name = fmt::format("n{}", number);
    Listeners listeners;
    auto backhaul = h().network.listen(*sys::Address::ip(ip_of(number), backhaul_port));
    REQUIRE_MESSAGE(backhaul.has_value(), backhaul.error().context);
    backhaul_port = (*backhaul)->local().port();
    listeners.backhaul.push_back(*std::move(backhaul));
    listeners.http.push_back(listen());
    Site site;
    if (with_datagrams) {
      auto socket =
          h().network.open_datagrams(*sys::Address::parse("127.0.0.1:0"), sys::Binding::present);
      REQUIRE_MESSAGE(socket.has_value(), socket.error().context);
      site.udp = (*socket)->local();
      listeners.udp.push_back(*std::move(socket));
    }
    if (with_tcp) {
      listeners.tcp.push_back(listen());
      site.tcp = listeners.tcp[0]->local();
    }
    site.http = listeners.http[0]->local();
    site.status = *sys::Address::unix_path(fmt::format("{}/{}.sock", directory, name));
    listeners.status = *h().network.listen(site.status);
    site.router = std::make_unique<Router>(
        h(), Config{.node = NodeId(name),
                    .region = RegionCode(fmt::format("r{:02}", number)),
                    .domain = "test",
                    .control = control,
                    .snapshot_path = fmt::format("{}/{}.json", directory, name),
                    .access_log = fmt::format("{}/{}.log", directory, name),
                    .reach_bound = reach_bound,
                    .queue_bound = queue_bound,
                    .backhaul_port = backhaul_port});
    site.tasks = std::make_unique<async::TaskGroup>(loop());
    site.tasks->spawn(site.router->run(std::move(listeners)));
    sites[number] = std::move(site);
  }
  void place(const std::string& machine, int node) {
    target(machine, ip_of(node));
    route.targets.back().node = NodeId(fmt::format("n{}", node));
  }
  void start_fleet() {
    feed.add(R"({"version":1,"epoch":"e","revision":1,"snapshot":true})");
    for (int i = 1; i <= 3; ++i) {
      const model::RouteNode node{.node = NodeId(fmt::format("n{}", i)),
                                  .region = RegionCode(fmt::format("r{:02}", i)),
                                  .mesh_address = ip_of(i),
                                  .has_router = true,
                                  .has_worker = true};
      feed.add(json::object({{"revision", 1},
                             {"key", "/nodes/" + node.node.str()},
                             {"value", model::to_json(node)}})
                   .dump());
    }
    if (with_datagrams) serve_all(model::Protocol::udp);
    if (with_tcp) serve_all(model::Protocol::tcp);
    feed.add(route_line(1));
    feed.add(R"({"revision":1,"synced":true})");
    start_control();
    for (int i = 1; i <= 3; ++i) start_site(i);
    for (const auto& [number, site] : sites) {
      for (int i = 0; i < 500 && site.router->state().table->apps().empty(); ++i) sleep(10ms);
      REQUIRE_FALSE(site.router->state().table->apps().empty());
    }
    http_address = sites[1].http;
    status_address = sites[1].status;
    sleep(100ms);  // for the first pings
  }
  // Every port of the users' address is the app's.
  void serve_all(model::Protocol protocol) {
    if (route.services.empty()) route.services.emplace_back();
    route.services[0].protocol = protocol;
    route.services[0].ports = {{.port = 1, .end_port = 65535, .handlers = handlers}};
    route.addresses = {"127.0.0.1"};
  }
  // Until the node's router knows the machine as the app's only one; "": that there is none.
  void wait_for_only(int node, const std::string& machine) {
    const auto knows = [&] {
      const auto& targets = state(node).table->find_app("hello")->targets;
      return machine.empty() ? targets.empty()
                             : targets.size() == 1 && targets[0].machine.str() == machine;
    };
    for (int i = 0; i < 500 && !knows(); ++i) sleep(10ms);
    REQUIRE(knows());
  }
  const State& state(int node) { return sites.at(node).router->state(); }
  void stop_site(int node) { sites.erase(node); }
  json::Value last_log_line(int node) {
    sleep(400ms);
    std::ifstream file(fmt::format("{}/n{}.log", directory, node));
    std::string line;
    std::string last;
    while (std::getline(file, line)) last = line;
    return json::parse(last).value_or(json::Value());
  }
  // A second request while `held` runs.
  Reply while_held(const std::string& target_path, Machine& machine) {
    std::optional<Result<Reply>> held;
    tasks.spawn(ask_into(*this, {.target = "/hold"}, held));
    for (int i = 0; i < 500 && !machine.entered.is_set(); ++i) sleep(10ms);
    REQUIRE(machine.entered.is_set());
    const Reply reply = get(target_path);
    machine.release.set();
    for (int i = 0; i < 500 && !held; ++i) sleep(10ms);
    REQUIRE(held.has_value());
    CHECK(held->value().status == 200);
    return reply;
  }
  static async::Task<void> ask_into(Fleet& f, http::RequestHead head,
                                    std::optional<Result<Reply>>& result, int node = 1) {
    result.emplace(co_await f.ask(f.sites.at(node).http, std::move(head), {}));
  }

  bool with_datagrams = false;
  bool with_tcp = false;
  std::vector<model::Handler> handlers;  // of the users' ports
  std::uint16_t backhaul_port = 0;
  std::map<int, Site> sites;
};

}  // namespace perigee::router
