// Requests for apps whose machines rest, and what the router tells of its requests.
#include "router/test_fixture.h"

namespace perigee::router {
namespace {

using model::MachineState;

TEST_CASE_FIXTURE(Fixture, "requests to a resting app wake it once and are all served") {
  start_machine("m1", "127.0.0.2");
  target("m1", "127.0.0.2", MachineState::suspended, false);
  route.targets[0].wakeable = true;
  feed.on_wake = [this] { turn(MachineState::starting, false); };
  start_all();
  async::TaskGroup asking(loop());
  std::vector<int> statuses;
  for (int i = 0; i < 40; ++i) {
    asking.spawn([](Fixture& f, std::vector<int>& into) -> async::Task<void> {
      const auto reply = co_await f.ask(f.http_address, {}, {});
      into.push_back(reply ? reply->status : 0);
    }(*this, statuses));
  }
  for (int i = 0; i < 500 && feed.wakes.empty(); ++i) sleep(10ms);
  sleep(50ms);
  CHECK(statuses.empty());  // they wait
  turn(MachineState::started, false);
  loop().run(asking.drained());
  CHECK(statuses == std::vector<int>(40, 200));
  REQUIRE(feed.wakes.size() == 1);
  CHECK(feed.wakes[0] == "/internal/v1/apps/hello/wake?region=loc");
  CHECK(router->state().counters.wakes == 1);
}

TEST_CASE_FIXTURE(Fixture,
                  "a request that comes while a machine goes to rest waits for its return") {
  Machine& machine = start_machine("m1", "127.0.0.2");
  target("m1", "127.0.0.2", MachineState::stopping, true);
  route.targets[0].wakeable = true;
  feed.on_wake = [this] { turn(MachineState::started, false); };
  start_all();
  CHECK(get().status == 200);
  CHECK(machine.requests == 1);
}

TEST_CASE_FIXTURE(Fixture, "what can't be woken is answered at once with control's reason") {
  start_machine("m1", "127.0.0.2");
  target("m1", "127.0.0.2", MachineState::stopped, false);
  route.targets[0].wakeable = true;
  feed.wake_status = 503;
  start_all();
  const MonotonicTime begun = loop().now();
  const Reply reply = get();
  CHECK(reply.status == 503);
  CHECK(reply.body.find("wake_failed") != std::string::npos);
  CHECK(reply.body.find("no room") != std::string::npos);
  CHECK(loop().now() - begun < reach_bound);
}

TEST_CASE_FIXTURE(Fixture, "without control a resting app is a clear 503 after the bound") {
  start_machine("m1", "127.0.0.2");
  target("m1", "127.0.0.2", MachineState::stopped, false);
  route.targets[0].wakeable = true;
  reach_bound = 400ms;
  start_all();
  feed_server.reset();
  std::filesystem::remove(directory + "/control.sock");
  const Reply reply = get();
  CHECK(reply.status == 503);
  CHECK(reply.body.find("control can't be reached") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "a busy machine serves while another one is woken") {
  Machine& busy = start_machine("m1", "127.0.0.2");
  start_machine("m2", "127.0.0.3");
  target("m1", "127.0.0.2");
  target("m2", "127.0.0.3", MachineState::stopped, false);
  route.targets[1].wakeable = true;
  model::Service service;
  service.ports = {{.port = 80, .handlers = {model::Handler::http}}};
  service.concurrency.soft_limit = 1;
  route.services = {service};
  start_all();
  async::TaskGroup asking(loop());
  asking.spawn([](Fixture& f) -> async::Task<void> {
    std::ignore = co_await f.ask(f.http_address, {.target = "/hold"}, {});
  }(*this));
  loop().run(busy.entered.wait());
  CHECK(feed.wakes.empty());
  CHECK(get().body == "m1:");
  for (int i = 0; i < 500 && feed.wakes.empty(); ++i) sleep(10ms);
  CHECK(feed.wakes.size() == 1);
  busy.release.set();
  loop().run(asking.drained());
}

TEST_CASE_FIXTURE(Fixture, "the loads that the router reports are those of its requests") {
  Machine& machine = start_machine("m1", "127.0.0.2");
  target("m1", "127.0.0.2");
  start_all();
  async::TaskGroup asking(loop());
  for (int i = 0; i < 2; ++i) {
    asking.spawn([](Fixture& f) -> async::Task<void> {
      std::ignore = co_await f.ask(f.http_address, {.target = "/hold"}, {});
    }(*this));
  }
  const auto load = [&](std::string_view key) {
    const json::Value* machines = feed.loads.find("machines");
    if (machines == nullptr || machines->items().empty()) return std::int64_t{-1};
    return machines->items()[0].optional_int(key, -1).value_or(-1);
  };
  for (int i = 0; i < 500 && load("in_flight") != 2; ++i) sleep(10ms);
  CHECK(load("in_flight") == 2);
  CHECK(load("peak") == 2);
  CHECK(feed.loads.require_string("epoch").value() == "e");
  machine.release.set();
  loop().run(asking.drained());
  for (int i = 0; i < 500 && load("in_flight") != 0; ++i) sleep(10ms);
  CHECK(load("in_flight") == 0);
}

}  // namespace
}  // namespace perigee::router
