// The worker's life with machines, on virtual time: orders, exits, restarts, and a crash of the
// worker (or of its machine) at every single step.
#include "worker/worker.h"

#include <doctest/doctest.h>

#include <csignal>

#include "async/combine.h"
#include "worker/limits.h"
#include "worker/worker_fixture.h"

namespace perigee::worker {
namespace {

using model::DesiredState;
using model::MachineState;

const MachineId kId("m1");

model::Machine next(model::Machine machine, DesiredState desired) {
  machine.desired = desired;
  ++machine.desired_sequence;
  return machine;
}

TEST_CASE("a machine is created, started, stopped, started again and destroyed") {
  Bench bench(1);
  bench.start();
  model::Machine machine = Bench::machine("m1");
  bench.control.want(machine);
  REQUIRE(bench.until(kId, MachineState::started));
  const vm::VmSpec* spec = bench.vms->spec(kId);
  REQUIRE(spec != nullptr);
  CHECK(spec->nic.address == "10.201.0.2");
  CHECK(spec->nic.gateway == "10.201.0.1");
  CHECK(spec->nic.tap == "pg-m1");
  CHECK(spec->process.argv == std::vector<std::string>{"/app"});
  CHECK(spec->upper == "/state/machines/m1/upper.ext4");
  CHECK(bench.control.status(kId)->private_ip == "10.201.0.2");
  REQUIRE(bench.fabric.machines.size() == 1);  // the firewall knew it before it booted
  CHECK(bench.fabric.machines.front().tap == "pg-m1");
  CHECK(bench.fabric.machines.front().address == "10.201.0.2");
  CHECK(bench.fabric.machines.front().address6 == spec->nic.address6);
  CHECK(bench.control.report()->memory_free_mib == 4096 - 256);

  bench.control.want(machine = next(machine, DesiredState::stopped));
  REQUIRE(bench.until(kId, MachineState::stopped));
  CHECK(bench.vms->size() == 0);
  CHECK(bench.vms->signals().back().second == SIGINT);
  CHECK(bench.control.status(kId)->last_exit->requested_stop);
  CHECK(bench.control.status(kId)->acted_sequence == 2);

  bench.control.want(machine = next(machine, DesiredState::started));
  REQUIRE(bench.until(kId, MachineState::started));
  bench.control.want(machine = next(machine, DesiredState::destroyed));
  REQUIRE(bench.until(kId, MachineState::destroyed));
  bench.run_for(5s);
  CHECK(bench.vms->size() == 0);
  CHECK(bench.machine_paths().empty());
  CHECK(bench.control.report()->machines.empty());
  CHECK(bench.control.report()->memory_free_mib == 4096);
  CHECK(bench.vms->boots() == 2);
  CHECK(bench.violation == "");
}

TEST_CASE("a machine that is stopped before it ever ran is stopped; one to start later is not") {
  Bench bench(1);
  bench.start();
  model::Machine machine = Bench::machine("m1");
  machine.desired = DesiredState::stopped;
  bench.control.want(machine);
  bench.run_for(5s);
  CHECK(bench.control.status(kId)->state == MachineState::created);
  bench.control.want(next(machine, DesiredState::stopped));
  REQUIRE(bench.until(kId, MachineState::stopped));
  CHECK(bench.vms->boots() == 0);
  CHECK(bench.violation == "");
}

TEST_CASE("a new version replaces the VM") {
  Bench bench(1);
  bench.start();
  model::Machine machine = Bench::machine("m1");
  bench.control.want(machine);
  REQUIRE(bench.until(kId, MachineState::started));
  machine.instance_id = "v2";
  machine.config.guest.memory_mib = 512;
  bench.control.want(machine);
  REQUIRE(bench.until(kId, MachineState::restarting));
  REQUIRE(bench.until(kId, MachineState::started));
  CHECK(bench.vms->spec(kId)->memory_mib == 512);
  CHECK(bench.control.status(kId)->instance_id == "v2");
  CHECK(bench.vms->boots() == 2);
  CHECK(bench.control.status(kId)->restart_count == 0);
  CHECK(bench.violation == "");
}

TEST_CASE("an app that keeps failing is restarted with growing pauses, then left") {
  Bench bench(1);
  bench.vms->on_boot([](const vm::VmSpec&) {
    vm::FakePlan plan;
    plan.exit_after = 10ms;
    plan.exit_code = 3;
    return plan;
  });
  bench.start();
  bench.control.want(Bench::machine("m1"));
  REQUIRE(bench.until(kId, MachineState::restarting));
  REQUIRE(bench.until(kId, MachineState::stopped));
  const model::MachineStatus* status = bench.control.status(kId);
  CHECK(bench.vms->boots() == 11);
  CHECK(status->restart_count == 10);
  CHECK(status->last_exit->exit_code == 3);
  CHECK(status->error.starts_with("exit code 3 after 10 restarts within 5 minutes"));
  CHECK(bench.simulation.now() > MonotonicTime{} + 80s);
  bench.run_for(10min);
  CHECK(bench.vms->boots() == 11);
  bench.control.want(next(Bench::machine("m1"), DesiredState::started));  // asked for again
  REQUIRE(bench.until(kId, MachineState::restarting));
  CHECK(bench.vms->boots() > 11);
  CHECK(bench.violation == "");
}

TEST_CASE("an app that ends well stays ended, and a dead VMM is reported and started again") {
  Bench bench(1);
  bench.start();
  bench.control.want(Bench::machine("m1"));
  REQUIRE(bench.until(kId, MachineState::started));
  bench.vms->crash(kId);
  REQUIRE(bench.until(kId, MachineState::restarting));
  CHECK(bench.control.status(kId)->error.starts_with("the VMM died"));
  CHECK(bench.control.status(kId)->events.back().status == "failed");
  REQUIRE(bench.until(kId, MachineState::started));
  CHECK(bench.control.status(kId)->restart_count == 1);
  bench.vms->exit(kId, 0);
  REQUIRE(bench.until(kId, MachineState::stopped));
  bench.run_for(1min);
  CHECK(bench.control.status(kId)->state == MachineState::stopped);
  CHECK(bench.vms->boots() == 2);
}

TEST_CASE("an app that ignores its signal is killed when its time is up") {
  Bench bench(1);
  bench.vms->on_boot([](const vm::VmSpec&) {
    vm::FakePlan plan;
    plan.ignores_signals = true;
    return plan;
  });
  bench.start();
  model::Machine machine = Bench::machine("m1");
  machine.config.stop = {.signal = "SIGTERM", .timeout = 7s};
  bench.control.want(machine);
  REQUIRE(bench.until(kId, MachineState::started));
  const MonotonicTime asked = bench.simulation.now();
  bench.control.want(next(machine, DesiredState::stopped));
  REQUIRE(bench.until(kId, MachineState::stopped));
  CHECK(bench.simulation.now() - asked >= 7s);
  CHECK(bench.simulation.now() - asked < 8s);
  CHECK(bench.vms->signals().size() == 1);
}

TEST_CASE("an image that is not there fails the machine; a registry that is away is asked again") {
  Bench bench(1);
  bench.images.failure = Error::make(Code::not_found, "hello:1: no such tag");
  bench.start();
  model::Machine machine = Bench::machine("m1");
  bench.control.want(machine);
  REQUIRE(bench.until(kId, MachineState::failed));
  CHECK(bench.control.status(kId)->error == "image hello:1: hello:1: no such tag");
  bench.images.failure = Error::make(Code::unavailable, "registry away");
  bench.control.want(machine = next(machine, DesiredState::started));
  REQUIRE(bench.until(kId, MachineState::starting));
  bench.run_for(2s);
  CHECK(bench.control.status(kId)->error == "image hello:1: registry away");
  bench.images.failure.reset();
  REQUIRE(bench.until(kId, MachineState::started));
  CHECK(bench.control.status(kId)->error == "");
  CHECK(bench.violation == "");
}

TEST_CASE("a stop calls off a boot whose image is still being fetched") {
  Bench bench(1);
  bench.images.takes = 10min;
  bench.start();
  model::Machine machine = Bench::machine("m1");
  bench.control.want(machine);
  REQUIRE(bench.until(kId, MachineState::starting));
  bench.control.want(machine = next(machine, DesiredState::stopped));
  REQUIRE(bench.until(kId, MachineState::stopped));
  CHECK(bench.simulation.now() < MonotonicTime{} + 10s);
  CHECK(bench.vms->boots() == 0);
}

TEST_CASE("the port's first answer is reported at once, and survives the worker") {
  Bench bench(1);
  bench.start();
  model::Machine machine = Bench::machine("m1");
  machine.config.services.push_back({});
  machine.config.services.back().internal_port = 3000;
  bench.control.want(machine);
  REQUIRE(bench.until(kId, MachineState::started));
  bench.run_for(10s);
  CHECK_FALSE(bench.control.status(kId)->listening);
  auto app = bench.node.host().network.listen(*sys::Address::parse("10.201.0.2:3000"));
  bench.run_for(200ms);
  CHECK(bench.control.status(kId)->listening);
  bench.crash(sim::Crash::process);
  bench.run_for(20ms);
  CHECK(bench.control.status(kId)->listening);  // in the first report of the new worker
  app->reset();
  bench.control.want(next(machine, DesiredState::stopped));
  REQUIRE(bench.until(kId, MachineState::stopped));
  CHECK_FALSE(bench.control.status(kId)->listening);
}

TEST_CASE("a port that does not answer is reported with what the app listens on instead") {
  Bench bench(1);
  bench.vms->on_boot(
      [](const vm::VmSpec&) { return vm::FakePlan{.listening = {{"127.0.0.1", 3000, "node"}}}; });
  bench.start();
  model::Machine machine = Bench::machine("m1");
  machine.config.services.emplace_back();
  bench.control.want(machine);
  REQUIRE(bench.until(kId, MachineState::started));
  CHECK(bench.control.status(kId)->error == "");
  bench.run_for(10s);
  CHECK(bench.control.status(kId)->listens_on == "127.0.0.1:3000 (node)");
  CHECK(bench.control.status(kId)->error.starts_with(
      "nothing is listening on port 8080; the app listens on 127.0.0.1:3000 (bind"));
  const auto app = bench.node.host().network.listen(*sys::Address::parse("10.201.0.2:8080"));
  bench.run_for(10s);
  CHECK(bench.control.status(kId)->listening);
  CHECK(bench.control.status(kId)->listens_on == "");
  CHECK(bench.control.status(kId)->error == "");
}

TEST_CASE("without control a worker keeps its machines as they were") {
  Bench bench(1);
  bench.start();
  bench.control.want(Bench::machine("m1"));
  bench.control.want(Bench::machine("m2"));
  bench.control.want(next(Bench::machine("m3"), DesiredState::stopped));
  REQUIRE(bench.until(kId, MachineState::started));
  REQUIRE(bench.until(MachineId("m2"), MachineState::started));
  bench.control.go_away(true);
  bench.crash(sim::Crash::process);
  bench.run_for(30s);
  CHECK(bench.vms->boots() == 2);  // nothing restarted
  bench.vms->crash(kId);
  bench.run_for(5s);
  CHECK(bench.vms->boots() == 3);  // policy goes on
  CHECK(bench.worker->find(kId)->status().state == MachineState::started);
  bench.crash(sim::Crash::power);
  bench.run_for(30s);
  CHECK(bench.vms->boots() == 2);  // of the new host: m1 and m2
  CHECK(bench.worker->find(MachineId("m3"))->status().state == MachineState::stopped);
  bench.control.go_away(false);
  REQUIRE(bench.until(kId, MachineState::started));
  CHECK(bench.violation == "");
}

TEST_CASE("what control does not know is cleaned away") {
  Bench bench(1);
  bench.start();
  bench.control.want(Bench::machine("m1"));
  REQUIRE(bench.until(kId, MachineState::started));
  bench.down_for_good(sim::Crash::process);
  // A record that is lost, with its VM still there; a directory without anything; a machine that
  // control forgot while the worker was away.
  auto& disk = bench.node.disk();
  bench.simulation.run(disk.remove("/state/machines/m1/machine.json")).value();
  bench.simulation.run(disk.make_directories("/state/machines/old1", 0700)).value();
  bench.control.forget(kId);
  bench.node.restart();
  bench.run_for(20s);
  CHECK(bench.vms->size() == 0);
  CHECK(bench.machine_paths().empty());
  CHECK(bench.control.report()->machines.empty());
}

TEST_CASE("a wanted machine whose record is lost gets another VM in place of the unknown one") {
  Bench bench(1);
  bench.start();
  bench.control.want(Bench::machine("m1"));
  REQUIRE(bench.until(kId, MachineState::started));
  bench.down_for_good(sim::Crash::process);
  bench.simulation.run(bench.node.disk().remove("/state/machines/m1/machine.json")).value();
  bench.node.restart();
  bench.run_for(20s);
  CHECK(bench.vms->boots() == 2);
  CHECK(bench.control.status(kId)->state == MachineState::started);
}

async::Task<Result<void>> stop_all(Bench& bench) {
  co_return co_await bench.worker->stop_all(bench.simulation.loop().deadline_in(30s));
}

TEST_CASE("perigee down stops all VMs, and they boot again when the node is up") {
  Bench bench(1);
  bench.start();
  for (const char* id : {"m1", "m2", "m3"}) bench.control.want(Bench::machine(id));
  bench.control.want(next(Bench::machine("m4"), DesiredState::stopped));
  for (const char* id : {"m1", "m2", "m3"}) {
    REQUIRE(bench.until(MachineId(id), MachineState::started));
  }
  CHECK(bench.simulation.run(stop_all(bench)).has_value());
  CHECK(bench.vms->size() == 0);
  bench.run_for(10s);
  CHECK(bench.vms->boots() == 3);
  bench.control.go_away(true);  // they come back without control, too
  bench.crash(sim::Crash::process);
  bench.run_for(10s);
  CHECK(bench.vms->boots() == 6);
  CHECK(bench.vms->size() == 3);
  CHECK(bench.violation == "");
}

TEST_CASE("perigee down right after the start waits for what it takes up, and leaves nothing") {
  Bench bench(1);
  bench.start();
  bench.control.want(Bench::machine("m1"));
  REQUIRE(bench.until(kId, MachineState::started));
  REQUIRE(bench.fabric.present);
  bench.fabric.takes = 2s;
  bench.down_for_good(sim::Crash::process);
  bench.node.restart();
  bench.run_for(1s);
  REQUIRE(bench.worker != nullptr);
  CHECK(bench.simulation.run(stop_all(bench)).has_value());
  CHECK(bench.vms->size() == 0);
  bench.run_for(10s);
  CHECK_FALSE(bench.fabric.present);
}

TEST_CASE("perigee down names the machines that do not stop in time") {
  Bench bench(1);
  bench.start();
  model::Machine machine = Bench::machine("m1");
  machine.config.stop.timeout = 2min;
  bench.vms->on_boot([](const vm::VmSpec&) {
    vm::FakePlan plan;
    plan.ignores_signals = true;
    return plan;
  });
  bench.control.want(machine);
  REQUIRE(bench.until(kId, MachineState::started));
  const auto stopped = bench.simulation.run(stop_all(bench));
  REQUIRE_FALSE(stopped.has_value());
  CHECK(stopped.error().context == "these machines did not stop in time: m1");
}

TEST_CASE("a full disk changes nothing, and what was to be done is done when there is room") {
  Bench bench(1);
  bench.start();
  model::Machine machine = Bench::machine("m1");
  bench.control.want(machine);
  REQUIRE(bench.until(kId, MachineState::started));
  bench.node.disk().set_full(true);
  bench.control.want(machine = next(machine, DesiredState::stopped));
  bench.run_for(20s);
  CHECK(bench.vms->size() == 1);
  CHECK(bench.control.status(kId)->state == MachineState::started);
  bench.node.disk().set_full(false);
  CHECK(bench.until(kId, MachineState::stopped));
}

// A whole life, with every wish waited for. What is seen is counted.
struct Life {
  bool complete = false;
  int boots = 0;
  std::string exit_codes;
  std::string violation;
};

Life live(Bench& bench) {
  Life life;
  model::Machine machine = Bench::machine("m1");
  bench.control.want(machine);
  if (!bench.until(kId, MachineState::started)) return life;
  machine.instance_id = "v2";
  bench.control.want(machine);
  bench.run_for(1s);
  if (!bench.until(kId, MachineState::started)) return life;
  bench.control.want(machine = next(machine, DesiredState::stopped));
  if (!bench.until(kId, MachineState::stopped)) return life;
  bench.control.want(machine = next(machine, DesiredState::started));
  if (!bench.until(kId, MachineState::started)) return life;
  bench.vms->crash(kId);
  bench.run_for(1s);
  if (!bench.until(kId, MachineState::started)) return life;
  bench.vms->exit(kId, 3);
  bench.run_for(1s);
  if (!bench.until(kId, MachineState::started)) return life;
  life.boots = bench.vms->boots();
  life.exit_codes = bench.exit_codes_reported(kId);
  bench.control.want(machine = next(machine, DesiredState::destroyed));
  if (!bench.until(kId, MachineState::destroyed)) return life;
  bench.run_for(5s);
  life.complete = bench.vms->size() == 0 && bench.machine_paths().empty() &&
                  bench.control.report()->machines.empty();
  life.violation = bench.violation;
  return life;
}

TEST_CASE("a worker that is killed at any step loses and doubles nothing") {
  Bench undisturbed(7);
  undisturbed.start();
  const Life expected = live(undisturbed);
  REQUIRE(expected.complete);
  CHECK(expected.boots == 5);
  CHECK(expected.exit_codes == "130 130 137 3 ");
  const std::uint64_t steps = undisturbed.node.steps();
  CHECK(steps > 60);
  for (std::uint64_t at = 1; at <= steps; ++at) {
    CAPTURE(at);
    Bench bench(7);
    bench.node.crash_at_step(at, sim::Crash::process);
    bench.start();
    const Life life = live(bench);
    CHECK(life.complete);
    CHECK(life.boots == expected.boots);
    CHECK(life.exit_codes == expected.exit_codes);
    CHECK(life.violation == "");
  }
}

TEST_CASE("a host that loses power at any step leaves no trace that hurts") {
  Bench undisturbed(7);
  undisturbed.start();
  REQUIRE(live(undisturbed).complete);
  const std::uint64_t steps = undisturbed.node.steps();
  for (std::uint64_t at = 1; at <= steps; ++at) {
    CAPTURE(at);
    Bench bench(7 + at);
    bench.node.crash_at_step(at, sim::Crash::power);
    bench.start();
    const Life life = live(bench);
    CHECK(life.complete);
    CHECK(life.violation == "");
  }
}

}  // namespace
}  // namespace perigee::worker
