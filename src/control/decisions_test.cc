// The pure decisions of control: routes, states as shown, housekeeping.
#include <doctest/doctest.h>

#include "control/housekeeping.h"
#include "control/machine_view.h"
#include "control/routes.h"

namespace perigee::control {
namespace {

using model::DesiredState;
using model::MachineState;

model::Service service(int port) {
  model::Service out;
  out.internal_port = port;
  return out;
}

model::Machine machine(std::string id, int port = 8080) {
  model::Machine out;
  out.id = MachineId(std::move(id));
  out.app = AppName("hello");
  out.node = NodeId("n1");
  out.region = RegionCode("iad");
  out.instance_id = "I1";
  out.config.services = {service(port)};
  return out;
}

model::MachineStatus status(MachineState state) {
  model::MachineStatus out;
  out.instance_id = "I1";
  out.acted_sequence = 1;
  out.state = state;
  out.private_ip = "10.201.0.2";
  out.listening = state == MachineState::started;
  return out;
}

RouteInput input(std::vector<RouteMachine> machines) {
  RouteInput out;
  out.app.name = AppName("hello");
  out.host = "hello.localhost";
  out.machines = std::move(machines);
  return out;
}

TEST_CASE("a machine that serves the app's ports is a target, with its state and address") {
  const model::MachineStatus up = status(MachineState::started);
  const CertificateRecord certificate{"CERT", "KEY", "CA"};
  RouteInput in = input({{machine("m1"), &up, false}});
  in.certificate = &certificate;
  const model::AppRoute route = derive_route(in);
  CHECK(route.hosts == std::vector<std::string>{"hello.localhost"});
  REQUIRE(route.certificates.size() == 1);
  CHECK(route.certificates[0].chain_pem == "CERT");
  REQUIRE(route.targets.size() == 1);
  CHECK(route.targets[0] == model::RouteTarget{MachineId("m1"), "I1", RegionCode("iad"),
                                               NodeId("n1"), "10.201.0.2", MachineState::started,
                                               true});
  CHECK(route.reason.empty());
}

TEST_CASE("the services are the current release's, and machines with other ports are no targets") {
  const model::MachineStatus up = status(MachineState::started);
  model::Release current;
  current.config.services = {service(3000)};
  RouteInput in = input({{machine("old", 8080), &up, false}, {machine("new", 3000), &up, false}});
  in.current = &current;
  const model::AppRoute route = derive_route(in);
  CHECK(route.services[0].internal_port == 3000);
  REQUIRE(route.targets.size() == 1);
  CHECK(route.targets[0].machine == MachineId("new"));
}

TEST_CASE("a machine that was told to stop is no longer shown as started") {
  model::MachineStatus up = status(MachineState::started);
  model::Machine stopping = machine("m1");
  stopping.desired = DesiredState::stopped;
  stopping.desired_sequence = 2;
  CHECK(derive_route(input({{stopping, &up, false}})).targets[0].state == MachineState::stopping);
}

TEST_CASE("without targets the route says why") {
  const model::MachineStatus up = status(MachineState::started);
  model::Release last;
  last.version = 3;
  const auto reason = [&](std::vector<RouteMachine> machines) {
    RouteInput in = input(std::move(machines));
    in.last = &last;
    const model::AppRoute route = derive_route(in);
    CHECK(route.targets.empty());
    return route.reason;
  };
  CHECK(derive_route(input({})).reason == "nothing is deployed yet: run `perigee deploy`");
  last.status = model::ReleaseStatus::running;
  CHECK(reason({}) == "release v3 is being deployed");
  last.status = model::ReleaseStatus::failed;
  last.error = "exit code 1";
  CHECK(reason({}) == "release v3 failed: exit code 1");
  last.status = model::ReleaseStatus::succeeded;
  CHECK(reason({}) == "the app has no machines");
  CHECK(reason({{machine("m1"), &up, true}}) == "node n1 does not report");
  CHECK(reason({{machine("m1"), nullptr, false}}) == "its machines have not reported yet");
  model::Machine cordoned = machine("m1");
  cordoned.cordoned = true;
  CHECK(reason({{cordoned, &up, false}}) == "the app has no machines");
  model::Machine stopped = machine("m1");
  stopped.config.services[0].autostart = false;  // else a request would have it started
  stopped.desired = DesiredState::stopped;
  const model::MachineStatus nothing;
  CHECK(reason({{stopped, &nothing, false}}) == "its machines are stopped");
  model::Machine silent = machine("m1");
  silent.config.services.clear();
  CHECK(reason({{silent, &up, false}}) == "the app has no services: it takes no requests");
  model::MachineStatus failed;
  failed.error = "image: not found";
  CHECK(reason({{machine("m1"), &failed, false}}) == "image: not found");
}

TEST_CASE("a machine that fails its checks is no healthy target, and the route says which") {
  model::MachineStatus up = status(MachineState::started);
  model::Machine checked = machine("m1");
  checked.config.services[0].checks.emplace_back();
  const auto route = [&] { return derive_route(input({{checked, &up, false}})); };
  CHECK(route().targets[0].readiness == model::Readiness::ready);
  up.checks = {{"servicecheck-00-tcp-8080", model::CheckHealth::critical, "refused", {}}};
  CHECK(route().targets[0].readiness == model::Readiness::failing);
  CHECK(route().reason == "machine m1: check servicecheck-00-tcp-8080: refused");
  up.checks.clear();
  up.listening = false;
  CHECK(route().targets[0].readiness == model::Readiness::pending);
}

TEST_CASE("the state as shown joins what is wanted and what is seen") {
  struct Row {
    const char* name;
    DesiredState desired;
    std::int64_t sequence;  // the worker has acted on 1
    const char* instance;
    std::optional<MachineState> seen;
    MachineState shown;
  };
  const std::vector<Row> rows{
      {"new", DesiredState::started, 1, "I1", std::nullopt, MachineState::created},
      {"runs", DesiredState::started, 1, "I1", MachineState::started, MachineState::started},
      {"exited", DesiredState::started, 1, "I1", MachineState::stopped, MachineState::stopped},
      {"to start", DesiredState::started, 2, "I1", MachineState::stopped, MachineState::starting},
      {"to stop", DesiredState::stopped, 2, "I1", MachineState::started, MachineState::stopping},
      {"stopped", DesiredState::stopped, 1, "I1", MachineState::stopped, MachineState::stopped},
      {"updated", DesiredState::started, 2, "I2", MachineState::started, MachineState::restarting},
      {"goes", DesiredState::destroyed, 2, "I1", MachineState::started, MachineState::destroying},
      {"gone", DesiredState::destroyed, 2, "I1", MachineState::destroyed, MachineState::destroyed},
      {"unseen", DesiredState::destroyed, 2, "I1", std::nullopt, MachineState::destroying},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    model::Machine m = machine("m1");
    m.desired = row.desired;
    m.desired_sequence = row.sequence;
    m.instance_id = row.instance;
    const model::MachineStatus seen = status(row.seen.value_or(MachineState::created));
    CHECK(effective_state(m, row.seen ? &seen : nullptr) == row.shown);
  }
}

TEST_CASE("a removed machine is forgotten, an exited one with auto_destroy goes") {
  model::Machine m = machine("m1");
  model::MachineStatus seen = status(MachineState::stopped);
  CHECK(duty_of(m, nullptr) == Duty::none);
  CHECK(duty_of(m, &seen) == Duty::none);
  m.config.auto_destroy = true;
  CHECK(duty_of(m, &seen) == Duty::none);  // not started yet, no exit
  seen.last_exit = model::ExitEvent{};
  CHECK(duty_of(m, &seen) == Duty::destroy);
  m.desired_sequence = 2;  // told to start again
  CHECK(duty_of(m, &seen) == Duty::none);
  m.desired = DesiredState::destroyed;
  CHECK(duty_of(m, &seen) == Duty::none);
  seen.state = MachineState::destroyed;
  CHECK(duty_of(m, &seen) == Duty::forget);
}

}  // namespace
}  // namespace perigee::control
