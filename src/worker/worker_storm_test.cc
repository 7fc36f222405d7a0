// Storms: several machines, random wishes, and everything that can go wrong going wrong; then calm,
// and what is must be what is wanted. Reproducible by seed.
#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>

#include "async/combine.h"
#include "base/log.h"
#include "model/json.h"
#include "worker/worker_fixture.h"

namespace perigee::worker {
namespace {

using model::DesiredState;
using model::MachineState;

class Storm {
 public:
  explicit Storm(std::uint64_t seed) : bench_(seed) {}

  void run() {
    bench_.vms->on_boot(script());
    bench_.start();
    for (int i = 0; i < 80; ++i) {
      bench_.run_for(random().between(1ms, 3s));
      disturb();
      check_addresses();
    }
    calm();
  }

  std::string violation() const { return violation_ + bench_.violation; }
  int resumes() const { return bench_.vms->resumes(); }
  std::uint64_t hash() { return bench_.simulation.trace().hash(); }

 private:
  Random& random() { return bench_.simulation.random(); }

  vm::FakeVms::Script script() {
    return [this](const vm::VmSpec&) {
      vm::FakePlan plan;
      plan.boot_time = random().between(1ms, 500ms);
      if (random().chance(200)) plan.exit_after = random().between(1ms, 2s);
      plan.exit_code = random().chance(500) ? 1 : 0;
      plan.ignores_signals = random().chance(200);
      if (random().chance(100)) plan.suspend_error = Error::make(Code::internal, "no");
      if (random().chance(100)) plan.boot_error = Error::make(Code::unavailable, "no memory");
      return plan;
    };
  }

  model::Machine* some_machine() {
    if (machines_.empty()) return nullptr;
    auto it = machines_.begin();
    std::advance(it, static_cast<std::ptrdiff_t>(random().below(machines_.size())));
    return &it->second;
  }

  void wish(model::Machine& machine, DesiredState desired) {
    if (machine.desired == DesiredState::destroyed) return;
    machine.desired = desired;
    ++machine.desired_sequence;
    bench_.control.want(machine);
  }

  void disturb() {
    model::Machine* machine = some_machine();
    const std::uint64_t what = random().below(16);
    if (machine == nullptr || what < 2) return create();
    if (what == 2) return wish(*machine, DesiredState::started);
    if (what == 3) return wish(*machine, DesiredState::stopped);
    if (what == 4) return wish(*machine, DesiredState::destroyed);
    if (what == 5) return renew(*machine);
    if (what == 6) return bench_.vms->crash(machine->id);
    if (what == 7) return bench_.vms->exit(machine->id, 1);
    if (what == 8) return bench_.crash(sim::Crash::process);
    if (what == 9) return lose_power();
    if (what == 10) return bench_.control.go_away(!bench_.control.away());
    if (what == 11) return bench_.node.disk().set_full(random().chance(500));
    if (what == 12) return bench_.node.crash_at_step(1 + random().below(40), sim::Crash::process);
    if (what >= 14) return wish(*machine, DesiredState::suspended);
    fail_images();
  }

  void create() {
    constexpr std::size_t kMost = 6;
    if (machines_.size() >= kMost) return;
    const std::string id = fmt::format("m{}", next_++);
    machines_[MachineId(id)] = Bench::machine(id);
    bench_.control.want(machines_[MachineId(id)]);
  }

  void renew(model::Machine& machine) {
    if (machine.desired == DesiredState::destroyed) return;
    machine.instance_id = fmt::format("v{}", next_++);
    bench_.control.want(machine);
  }

  void lose_power() {
    bench_.crash(sim::Crash::power);
    bench_.vms->on_boot(script());
  }

  void fail_images() {
    bench_.images.failure.reset();
    if (random().chance(500)) bench_.images.failure = Error::make(Code::unavailable, "away");
  }

  // No two VMs have one address.
  void check_addresses() {
    std::set<std::string> seen;
    for (const auto& [id, machine] : machines_) {
      const vm::VmSpec* spec = bench_.vms->spec(id);
      if (spec != nullptr && !seen.insert(spec->nic.address).second) {
        violation_ += fmt::format("{} is used twice; ", spec->nic.address);
      }
    }
  }

  void calm() {
    bench_.images.failure.reset();
    bench_.node.disk().set_full(false);
    bench_.control.go_away(false);
    bench_.vms->on_boot([](const vm::VmSpec&) { return vm::FakePlan{}; });
    bench_.run_for(1min);
    for (auto& [id, machine] : machines_) {
      wish(machine, random().chance(500) ? DesiredState::started : DesiredState::stopped);
    }
    bench_.run_for(5min);
    for (const auto& [id, machine] : machines_) check_end(machine);
  }

  void check_end(const model::Machine& machine) {
    const auto vm = bench_.vms->status(machine.id);
    const model::MachineStatus* status = bench_.control.status(machine.id);
    const bool runs =
        vm && vm->state == vm::VmState::running && vm->instance_id == machine.instance_id;
    bool right = false;
    if (machine.desired == DesiredState::started) {
      right = runs && status != nullptr && status->state == MachineState::started;
    } else if (machine.desired == DesiredState::stopped) {
      right = !vm && status != nullptr &&
              (status->state == MachineState::stopped || status->state == MachineState::created);
    } else {
      right = !vm && status == nullptr && !bench_.machine_paths().contains(machine.id.str());
    }
    // A destroyed machine's snapshot is gone with its directory, of which the fake knows nothing.
    if (machine.desired != DesiredState::destroyed) {
      right = right && bench_.vms->snapshot(machine.id).empty();
    }
    if (right) return;
    violation_ += fmt::format("{} is {}, not {}, snapshot '{}'; ", machine.id,
                              status == nullptr ? "unknown" : model::name(status->state),
                              static_cast<int>(machine.desired), bench_.vms->snapshot(machine.id));
  }

  Bench bench_;
  std::map<MachineId, model::Machine> machines_;
  int next_ = 1;
  std::string violation_;
};

TEST_CASE("after any storm every machine is as wanted, over 40 seeds") {
  set_log_level(LogLevel::error);
  std::set<std::uint64_t> hashes;
  int resumes = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    Storm storm(seed);
    storm.run();
    CHECK(storm.violation() == "");
    hashes.insert(storm.hash());
    resumes += storm.resumes();
  }
  CHECK(resumes > 0);
  CHECK(hashes.size() == 40);
}

TEST_CASE("a storm repeats exactly") {
  Storm one(11);
  Storm two(11);
  one.run();
  two.run();
  CHECK(one.hash() == two.hash());
}

}  // namespace
}  // namespace perigee::worker
