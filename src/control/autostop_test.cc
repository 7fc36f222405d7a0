// Which machine rests, which one wakes, and the loads that this is decided by.
#include "control/autostop.h"

#include <doctest/doctest.h>

#include "control/control_fixture.h"
#include "control/limits.h"
#include "control/load_table.h"

namespace perigee::control {
namespace {

using model::Autostop;
using model::DesiredState;
using model::MachineState;

RunningMachine running(const char* id, int peak, Duration idle, const char* region = "iad") {
  return {.id = MachineId(id),
          .region = RegionCode(region),
          .in_flight = idle == Duration{} ? 1 : 0,
          .peak = peak,
          .idle = idle,
          .up = 10min};
}

TEST_CASE("one machine at a time rests: what load and minimum leave over, and the last when idle") {
  struct Row {
    const char* what;
    std::vector<RunningMachine> machines;
    int min_running;
    const char* rests;  // ids, joined
  };
  const RunningMachine idle = running("a", 0, 2min);
  RunningMachine new_one = running("n", 0, 2min);
  new_one.up = 10s;
  const std::vector<Row> rows{
      {"none", {}, 0, ""},
      {"an idle one", {idle}, 0, "a"},
      {"one that was used just now", {running("a", 1, 59s)}, 0, ""},
      {"one with a request", {running("a", 1, 0s)}, 0, ""},
      {"one that was just started", {new_one}, 0, ""},
      {"the last one that must run", {idle}, 1, ""},
      {"two idle ones: one", {running("b", 0, 2min), running("a", 0, 3min)}, 0, "a"},
      {"two idle ones, one must run", {idle, running("b", 0, 2min)}, 1, "a"},
      {"two, both must run", {idle, running("b", 0, 2min)}, 2, ""},
      {"two with few requests: the one with fewer",
       {running("a", 3, 1s), running("b", 2, 1s)},
       0,
       "b"},
      {"two, one at its soft limit", {running("a", 5, 1s), running("b", 2, 1s)}, 0, ""},
      {"three, one at its soft limit",
       {running("a", 5, 1s), running("b", 2, 1s), running("c", 1, 1s)},
       0,
       "c"},
      {"two, one was just started", {running("a", 0, 2min), new_one}, 0, ""},
      {"the minimum is the primary region's",
       {running("a", 0, 2min), running("f", 0, 2min, "fra")},
       1,
       "f"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const AutostopPolicy policy{Autostop::stop, row.min_running, 5};
    std::string rests;
    for (const MachineId& id : plan_autostop(row.machines, policy, RegionCode("iad"), 60s))
      rests += id.str();
    CHECK(rests == row.rests);
    CHECK(plan_autostop(row.machines, {}, RegionCode("iad"), 60s).empty());
  }
}

TEST_CASE("a machine's services agree on what may rest") {
  model::MachineConfig config;
  CHECK(autostop_policy(config).autostop == Autostop::off);
  model::Service service;
  service.autostop = Autostop::suspend;
  service.min_machines_running = 2;
  service.concurrency.soft_limit = 9;
  config.services = {service};
  CHECK(autostop_policy(config) == AutostopPolicy{Autostop::suspend, 2, 9});
  service.autostop = Autostop::stop;
  service.min_machines_running = 1;
  service.concurrency.soft_limit = 5;
  config.services.push_back(service);
  CHECK(autostop_policy(config) == AutostopPolicy{Autostop::stop, 2, 5});
  config.services[0].autostop = Autostop::off;
  CHECK(autostop_policy(config).autostop == Autostop::off);
}

TEST_CASE("which machines a request may have started") {
  struct Row {
    const char* what;
    DesiredState desired;
    MachineState seen;
    bool wakeable;
  };
  const std::vector<Row> rows{
      {"stopped", DesiredState::stopped, MachineState::stopped, true},
      {"ended by itself", DesiredState::started, MachineState::stopped, true},
      {"suspended", DesiredState::suspended, MachineState::suspended, true},
      {"on its way to a stop", DesiredState::stopped, MachineState::stopping, true},
      {"never started", DesiredState::stopped, MachineState::created, true},
      {"about to start", DesiredState::started, MachineState::created, false},
      {"starting", DesiredState::started, MachineState::starting, false},
      {"started", DesiredState::started, MachineState::started, false},
      {"failed", DesiredState::started, MachineState::failed, false},
      {"going", DesiredState::destroyed, MachineState::stopped, false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    model::Machine machine;
    machine.desired = row.desired;
    machine.config.services = {model::Service{}};
    model::MachineStatus status;
    status.acted_sequence = 1;
    status.state = row.seen;
    CHECK(is_wakeable(machine, &status) == row.wakeable);
    CHECK_FALSE(is_wakeable(machine, nullptr));
    status.error = "gave up after 10 restarts";
    CHECK_FALSE(is_wakeable(machine, &status));
    status.error.clear();
    machine.cordoned = true;
    CHECK_FALSE(is_wakeable(machine, &status));
    machine.cordoned = false;
    machine.config.services[0].autostart = false;
    CHECK_FALSE(is_wakeable(machine, &status));
  }
}

TEST_CASE("the nearest machine wakes, a suspended one first") {
  const RegionCode here("iad");
  const SleepingMachine far{MachineId("a"), RegionCode("fra"), MachineState::suspended};
  const SleepingMachine leaving{MachineId("b"), here, MachineState::stopping};
  const SleepingMachine stopped{MachineId("c"), here, MachineState::stopped};
  const SleepingMachine suspended{MachineId("d"), here, MachineState::suspended};
  CHECK_FALSE(choose_to_wake({}, here).has_value());
  CHECK(choose_to_wake({far}, here) == far.id);
  CHECK(choose_to_wake({far, leaving}, here) == leaving.id);
  CHECK(choose_to_wake({far, leaving, stopped}, here) == stopped.id);
  CHECK(choose_to_wake({far, leaving, stopped, suspended}, here) == suspended.id);
  SleepingMachine crowded = suspended;
  crowded.lack = "node a has 0 of 512 MiB left";
  CHECK(choose_to_wake({far, crowded}, here) == far.id);
  CHECK_FALSE(choose_to_wake({crowded}, here).has_value());
}

TEST_CASE_FIXTURE(ControlFixture, "loads are remembered for a window, and by router") {
  LoadTable loads(loop(), 200ms);
  const MachineId id("m1");
  CHECK(loads.peak(id) == 0);
  CHECK_FALSE(loads.is_quiet(id, {{"e", 1}}));  // nobody reports
  RouterReport busy{.epoch = "e", .revision = 3, .machines = {{id, {1, 4, 9}}}};
  loads.report(NodeId("r1"), busy);
  CHECK(loads.in_flight(id) == 1);
  CHECK(loads.peak(id) == 4);
  CHECK(loads.idle(id) == Duration{});
  CHECK_FALSE(loads.is_quiet(id, {{"e", 3}}));  // a request is there
  loads.report(NodeId("r1"), {.epoch = "e", .revision = 3, .machines = {}});
  CHECK(loads.peak(id) == 4);
  CHECK(loads.is_quiet(id, {{"e", 3}}));
  CHECK(loads.is_quiet(id, {{"d", 9}, {"e", 3}}));  // whichever control it follows
  CHECK_FALSE(loads.is_quiet(id, {{"e", 4}}));      // the router has not followed so far
  CHECK_FALSE(loads.is_quiet(id, {{"f", 3}}));
  loads.report(NodeId("r2"), {.epoch = "e", .revision = 2, .machines = {}});
  CHECK_FALSE(loads.is_quiet(id, {{"e", 3}}));  // nor has the other one
  pass(450ms);
  CHECK(loads.peak(id) == 0);
  CHECK(loads.idle(id) >= 400ms);
}

// An app with one machine that is suspended when it is idle for a third of a second.
struct Resting : ControlFixture {
  Resting() {
    kill();
    config.autostop_idle = 300ms;
    start();
    send(node());
    REQUIRE(call("POST", "/v1/apps", R"({"app_name": "hello"})").status == 201);
    const Got got = call("POST", "/v1/apps/hello/machines",
                         R"({"config": {"image": "hello:1", "services": [{"internal_port": 80,
                             "autostop": "suspend",
                             "ports": [{"port": 80, "handlers": ["http"]}]}]}})");
    REQUIRE(got.status == 200);
    id = *got.body.find("id")->string();
    work();
  }
  std::string shown() {
    return *call("GET", "/v1/apps/hello/machines/" + id).body.find("state")->string();
  }
  json::Value target() {
    return routes().values.at("/routes/hello").find("targets")->items().at(0);
  }
  bool wakeable() { return target().optional_bool("wakeable", false).value(); }
  int wake() { return internal("POST", "/internal/v1/apps/hello/wake?region=iad", {}); }
  std::string id;
};

TEST_CASE_FIXTURE(Resting, "an idle machine leaves the routes, then rests, then wakes") {
  CHECK_FALSE(wakeable());
  CHECK(eventually([&] { return wakeable(); }));
  CHECK(shown() == "started");  // the router has not yet said that it is free
  report_loads({}, 0);
  CHECK(eventually([&] { return shown() == "suspending"; }));
  work();
  CHECK(shown() == "suspended");
  CHECK(wakeable());
  CHECK(wake() == 200);
  CHECK(shown() == "starting");
  CHECK_FALSE(wakeable());
  CHECK(wake() == 200);  // it is on its way: nothing more is done
  work();
  CHECK(shown() == "started");
}

TEST_CASE_FIXTURE(Resting, "a machine with requests does not rest, and a new one calls it back") {
  for (int i = 0; i < 10; ++i) {
    report_loads(id, 1);
    pass(60ms);
    CHECK_FALSE(wakeable());
  }
  report_loads({}, 0);
  CHECK(eventually([&] { return wakeable(); }));
  CHECK(wake() == 200);
  CHECK_FALSE(wakeable());
  CHECK(shown() == "started");
}

TEST_CASE_FIXTURE(Resting, "a machine under a lease does not rest") {
  const std::string lease = "/v1/apps/hello/machines/" + id + "/lease";
  const Got taken = call("POST", lease + "?ttl=60", "{}");
  REQUIRE(taken.status == 200);
  report_loads({}, 0);
  pass(1s);
  CHECK(shown() == "started");
  CHECK_FALSE(wakeable());
  http::RequestHead head = request("DELETE", lease);
  head.headers.set("perigee-machine-lease-nonce",
                   *taken.body.find("data")->find("nonce")->string());
  REQUIRE(loop().run(ask(client, api_address, head, {}, loop().deadline_in(20s))).has_value());
  CHECK(eventually([&] { return wakeable(); }));
}

TEST_CASE_FIXTURE(Resting,
                  "a machine is not woken where its node has no memory left, and says so") {
  REQUIRE(eventually([&] { return wakeable(); }));
  report_loads({}, 0);
  REQUIRE(eventually([&] { return shown() == "suspending"; }));
  work();
  REQUIRE(call("POST", "/v1/apps", R"({"app_name": "big"})").status == 201);
  const Got big = call("POST", "/v1/apps/big/machines",
                       R"({"config": {"image": "big:1", "guest": {"memory_mb": 4032}}})");
  REQUIRE_MESSAGE(big.status == 200, big.text);
  work();
  CHECK(wake() == 503);
  CHECK(shown() == "suspended");
  const Got events = call("GET", "/v1/apps/hello/machines/" + id + "/events");
  REQUIRE(events.body.items().size() == 1);  // the worker of this test reports none
  const json::Value& refused = events.body.items()[0];
  CHECK(*refused.find("type")->string() == "wake_refused");
  CHECK(*refused.find("status")->string() == "node n1 has 64 of 4096 MiB left");
  CHECK(*refused.find("source")->string() == "proxy");
  REQUIRE(
      call("POST", "/v1/apps/big/machines/" + *big.body.find("id")->string() + "/stop").status ==
      200);
  CHECK(wake() == 200);
  CHECK(shown() == "starting");
}

TEST_CASE_FIXTURE(Resting, "nothing to wake is not found, and waking without end is refused") {
  CHECK(internal("POST", "/internal/v1/apps/none/wake", {}) == 404);
  CHECK(wake() == 404);  // it runs
  CHECK(call("POST", "/v1/apps/hello/machines/" + id + "/stop").status == 200);
  int refused = 0;
  for (int i = 0; i < kWakeBurst + 3; ++i) {
    work([](const model::Machine&, model::MachineStatus& status) {
      status.state = MachineState::stopped;  // it ends as soon as it is started
    });
    const int status = wake();
    if (status == 503) ++refused;
    if (status == 200) CHECK(shown() == "starting");
  }
  CHECK(refused > 0);
  CHECK(refused <= 3);
  CHECK(internal("POST", "/internal/v1/routers/r1/loads", R"({"machines": 5})") == 400);
  CHECK(internal("POST", "/internal/v1/routers/r1/loads",
                 R"({"machines": [{"machine": "x", "peak": -1}]})") == 400);
}

}  // namespace
}  // namespace perigee::control
