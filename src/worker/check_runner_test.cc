// Checks against an app in the simulation: the worker runs them, records what they say, and what
// that means for the machine.
#include <doctest/doctest.h>

#include <utility>

#include "http/server.h"
#include "worker/check_attempt.h"
#include "worker/worker_fixture.h"

namespace perigee::worker {
namespace {

using model::CheckHealth;
using model::MachineState;

const MachineId kId("m1");

// Answers each request with the status that the test has set.
class App : public http::Handler {
 public:
  async::Task<void> handle(http::Request& request, http::ResponseWriter& response) override {
    ++requests;
    last = request.head;
    http::ResponseHead head;
    head.status = status;
    (void)co_await response.send(std::move(head), "the database is away\nsecond line\n");
  }
  int status = 200;
  int requests = 0;
  http::RequestHead last;
};

// A worker with one machine that has one http check, and the app of that machine.
struct Checked {
  explicit Checked(model::Check check)
      : bench(1), server(bench.node.host(), app, {}), tasks(bench.simulation.loop()) {
    machine = Bench::machine("m1");
    machine.config.services.emplace_back();
    machine.config.services[0].checks.push_back(std::move(check));
    bench.start();
    bench.control.want(machine);
  }
  void listen() {
    auto listener = bench.node.host().network.listen(*sys::Address::parse("10.201.0.2:8080"));
    REQUIRE(listener.has_value());
    tasks.spawn(server.serve(*std::move(listener)));
  }
  const model::MachineStatus& status() { return *bench.control.status(kId); }
  const model::CheckStatus& check() { return status().checks.at(0); }

  Bench bench;
  App app;
  http::Server server;
  async::TaskGroup tasks;
  model::Machine machine;
};

model::Check http_check() {
  return {.type = model::CheckType::http,
          .interval = 15s,
          .grace_period = 2s,
          .path = "/up",
          .headers = {{"X-Probe", "yes"}}};
}

TEST_CASE("a machine listens once its check passes, and no more when it is critical") {
  Checked checked(http_check());
  checked.app.status = 500;
  checked.listen();
  REQUIRE(checked.bench.until(kId, MachineState::started));
  checked.bench.run_for(1s);
  CHECK(checked.check().status == CheckHealth::warning);
  CHECK_FALSE(checked.status().listening);
  checked.bench.run_for(3s);
  CHECK(checked.check().status == CheckHealth::critical);
  CHECK(checked.check().output == "HTTP 500 Internal Server Error: the database is away");
  checked.app.status = 204;
  checked.bench.run_for(5s);
  CHECK(checked.check().status == CheckHealth::passing);
  CHECK(checked.status().listening);
  CHECK(checked.app.last.target == "/up");
  CHECK(*checked.app.last.headers.find("X-Probe") == "yes");
  checked.app.status = 301;
  checked.bench.run_for(17s);
  CHECK(checked.check().status == CheckHealth::critical);
  CHECK_FALSE(checked.status().listening);
  checked.app.status = 200;
  checked.bench.run_for(16s);
  CHECK(checked.status().listening);
  int told = 0;
  for (const model::MachineEvent& event : checked.status().events) told += event.type == "check";
  CHECK(told >= 5);
}

TEST_CASE("one failure of a passing check takes a machine out of nothing") {
  Checked checked(http_check());
  checked.listen();
  REQUIRE(checked.bench.until(kId, MachineState::started));
  checked.bench.run_for(1s);
  REQUIRE(checked.status().listening);
  checked.app.status = 503;
  while (checked.check().status == CheckHealth::passing) checked.bench.run_for(100ms);
  CHECK(checked.check().status == CheckHealth::warning);
  CHECK(checked.status().listening);
  checked.app.status = 200;
  checked.bench.run_for(2s);
  CHECK(checked.check().status == CheckHealth::passing);
}

TEST_CASE("results outlive the worker, and end with the machine") {
  Checked checked(http_check());
  checked.listen();
  REQUIRE(checked.bench.until(kId, MachineState::started));
  checked.bench.run_for(1s);
  REQUIRE(checked.status().listening);
  checked.bench.crash(sim::Crash::process);
  checked.bench.run_for(20ms);
  CHECK(checked.status().listening);
  CHECK(checked.check().status == CheckHealth::passing);
  checked.machine.desired = model::DesiredState::stopped;
  ++checked.machine.desired_sequence;
  checked.bench.control.want(checked.machine);
  REQUIRE(checked.bench.until(kId, MachineState::stopped));
  CHECK(checked.status().checks.empty());
  const int requests = checked.app.requests;
  checked.bench.run_for(1min);
  CHECK(checked.app.requests == requests);
}

TEST_CASE("a check of a closed port says what the app listens on") {
  Checked checked({.interval = 5s});
  checked.bench.vms->on_boot(
      [](const vm::VmSpec&) { return vm::FakePlan{.listening = {{"0.0.0.0", 3000, "node"}}}; });
  REQUIRE(checked.bench.until(kId, MachineState::started));
  checked.bench.run_for(30s);
  CHECK(checked.check().status == CheckHealth::critical);
  CHECK(checked.check().output.find("the app listens on 0.0.0.0:3000") != std::string::npos);
  CHECK(checked.status().error.find("the app listens on 0.0.0.0:3000") != std::string::npos);
  checked.listen();
  checked.bench.run_for(10s);
  CHECK(checked.check().output == "connected");
  CHECK(checked.status().listening);
  CHECK(checked.status().error == "");
}

TEST_CASE("an app that never answers costs a check no more than its timeout") {
  Checked checked({.type = model::CheckType::http, .interval = 5s, .timeout = 1s});
  const auto mute =
      checked.bench.node.host().network.listen(*sys::Address::parse("10.201.0.2:8080"));
  REQUIRE(checked.bench.until(kId, MachineState::started));
  checked.bench.run_for(10s);
  CHECK(checked.check().status == CheckHealth::critical);
  CHECK(checked.check().output.find("no answer in time") != std::string::npos);
}

TEST_CASE("only 2xx passes") {
  for (const int status : {200, 204, 299}) CHECK(judge_answer(status, "").passed);
  for (const int status : {199, 300, 302, 404, 500, 0})
    CHECK_FALSE(judge_answer(status, "").passed);
  CHECK(judge_answer(404, "\x1b[31mgone").output == "HTTP 404 Not Found: ?[31mgone");
}

}  // namespace
}  // namespace perigee::worker
