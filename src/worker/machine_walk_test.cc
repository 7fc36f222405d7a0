// Every state that a machine's record can come to, from every order and every turn of its VM, found
// by walking: the worker never leaves the table of transitions.
#include <doctest/doctest.h>

#include <array>
#include <functional>
#include <map>
#include <vector>

#include "model/json.h"
#include "model/machine_state.h"
#include "worker/machine_plan.h"
#include "worker/machine_record.h"

namespace perigee::worker {
namespace {

using model::DesiredState;
using model::MachineState;
using vm::VmState;

constexpr MonotonicTime kNow{1'000'000'000'000};
constexpr WallTime kWall{1'000'000'000};

struct Place {
  Record record;
  Observed observed;
};

// What tells two places apart; times, texts and counts don't.
std::string key_of(const Place& place) {
  const Record& r = place.record;
  const Observed& o = place.observed;
  const int vm = o.vm ? static_cast<int>(o.vm->state) + 1 : 0;
  const int exit = o.vm && o.vm->exit
                       ? 1 + 2 * int{o.vm->exit->suspended} + 4 * int{o.vm->exit->vmm_died} +
                             8 * int{o.vm->exit->exit_code != 0}
                       : 0;
  return fmt::format("{} {} {} {} {} {} {} {} {} {} {} {} {} {} {}", int(r.machine.desired),
                     is_fresh(r), r.machine.instance_id == r.status.instance_id,
                     model::name(r.status.state), int(r.boot), r.resume, r.snapshot.empty(),
                     r.snapshot == r.machine.instance_id, vm, exit,
                     o.vm && o.vm->instance_id == r.machine.instance_id, o.signalled_at.has_value(),
                     o.killed_at.has_value(), o.suspended, o.node_down);
}

// Keeps what grows from growing: the walk is over kinds of places.
void normalise(Place& place) {
  Record& r = place.record;
  const bool acted = r.status.acted_sequence >= r.machine.desired_sequence;
  r.machine.desired_sequence = 2;
  r.status.acted_sequence = acted ? 2 : 1;
  r.status.events.clear();
  r.restarts.clear();
  r.status.restart_count = 0;
  place.observed.retry_at.reset();
}

void vm_state(Place& place, VmState state) {
  if (!place.observed.vm) {
    place.observed.vm.emplace();
    place.observed.vm->machine = place.record.machine.id;
    place.observed.vm->instance_id = place.record.status.instance_id;
  }
  place.observed.vm->state = state;
}

void vm_exit(Place& place, vm::VmExit exit) {
  vm_state(place, VmState::exited);
  place.observed.vm->exit = std::move(exit);
}

// The order is on disk first; then the boot works, or not.
std::vector<Place> after_boot(const Place& place) {
  Place ordered = place;
  order_boot(ordered.record, kWall);
  ordered.observed = {};
  ordered.observed.node_down = place.observed.node_down;
  if (place.record.status.state != MachineState::starting) return {ordered};
  std::vector<Place> out{ordered};
  vm_state(out.back(), VmState::booting);
  out.push_back(ordered);
  note_forgotten(out.back().record);  // called off
  for (const Retry retry : {Retry::yes, Retry::no}) {
    out.push_back(ordered);
    Error error = Error::make(Code::unavailable, "x");
    error.retry = retry;
    note_boot_failure(out.back().record, error, 1, kWall);
  }
  return out;
}

std::vector<Place> after_suspend(const Place& place) {
  Place saved = place;
  saved.observed.suspended = true;
  Place failed = place;
  note_suspend_failure(failed.record, Error::make(Code::internal, "x"), kWall);
  return {saved, failed};
}

// What the reconciler makes of the plan's next action: all the ways it may turn out.
std::vector<Place> after_action(const Place& place) {
  Place next = place;
  Record& r = next.record;
  Observed& o = next.observed;
  switch (plan(place.record, place.observed, kNow).action) {
    case Action::wait:
      return {};
    case Action::boot:
      return after_boot(place);
    case Action::suspend:
      return after_suspend(place);
    case Action::accept:
      accept_running(r, *o.vm, kWall);
      break;
    case Action::note_listening:
      note_listening(r);
      break;
    case Action::note_checks:
      note_checks(r, o.checks, kWall);
      break;
    case Action::note_silence:
      note_silence(r, *o.silence);
      break;
    case Action::acknowledge:
      acknowledge(r);
      break;
    case Action::begin_suspend:
      begin_suspend(r, kWall);
      break;
    case Action::discard:
      note_discarded(r);
      break;
    case Action::begin_stop:
      begin_stop(r, stop_state(r, o), o.node_down, kWall);
      break;
    case Action::signal:
      o.signalled_at = kNow;
      break;
    case Action::kill:
      o.killed_at = kNow;
      break;
    case Action::note_exit:
      note_exit(r, *o.vm, kWall);
      break;
    case Action::note_loss:
      note_loss(r, kWall);
      break;
    case Action::forget:
      o.vm.reset();
      note_forgotten(r);
      break;
    case Action::settle:
      settle(r, o.node_down, kWall);
      break;
    case Action::remove:
      if (r.status.state != MachineState::destroying) {
        begin_removal(r);  // in two steps, so that both changes are looked at
      } else {
        note_removed(r, kWall);
      }
      break;
  }
  return {next};
}

// What VMs, workers and hosts do by themselves.
std::vector<Place> after_fate(const Place& place) {
  std::vector<Place> out;
  const auto add = [&](const std::function<void(Place&)>& change) {
    out.push_back(place);
    change(out.back());
  };
  const auto& vm = place.observed.vm;
  if (vm && vm->state == VmState::booting) add([](Place& p) { vm_state(p, VmState::running); });
  if (vm && vm->state != VmState::exited) {
    add([](Place& p) { vm_exit(p, {}); });
    add([](Place& p) { vm_exit(p, {.exit_code = 1}); });
    add([](Place& p) { vm_exit(p, {.exit_code = 137, .vmm_died = true}); });
    add([](Place& p) { p.observed.vm.reset(); });  // it vanished
    if (place.observed.suspended) add([](Place& p) { vm_exit(p, {.suspended = true}); });
  }
  add([](Place& p) {  // another worker
    const auto found = p.observed.vm;
    p.observed = {};
    p.observed.vm = found;
  });
  add([](Place& p) {  // another boot of the host
    p.observed = {};
    note_host_restart(p.record, kWall);
  });
  add([](Place& p) { p.observed.node_down = true; });
  return out;
}

std::vector<Place> after_order(const Place& place) {
  std::vector<Place> out;
  if (place.record.machine.desired == DesiredState::destroyed) return out;
  for (const auto desired : {DesiredState::started, DesiredState::stopped, DesiredState::suspended,
                             DesiredState::destroyed}) {
    out.push_back(place);
    out.back().record.machine.desired = desired;
    ++out.back().record.machine.desired_sequence;
  }
  out.push_back(place);  // another version; the ids alternate, so that the walk ends
  Record& r = out.back().record;
  r.machine.instance_id = r.machine.instance_id == "v1" ? "v2" : "v1";
  ++r.machine.desired_sequence;
  return out;
}

struct Walk {
  std::map<std::string, Place> seen;
  std::vector<Place> open;
  std::vector<std::string> wrong;

  void reach(const MachineState* from, Place place) {
    const MachineState to = place.record.status.state;
    if (from != nullptr && *from != to && !model::may_follow(*from, to))
      wrong.push_back(fmt::format("{} → {}", model::name(*from), model::name(to)));
    normalise(place);
    if (seen.emplace(key_of(place), place).second) open.push_back(std::move(place));
  }
  void run() {
    while (!open.empty() && seen.size() < 100'000) {
      const Place place = std::move(open.back());
      open.pop_back();
      const MachineState from = place.record.status.state;
      if (from == MachineState::destroyed) continue;
      for (const auto& next : {after_action(place), after_fate(place), after_order(place)}) {
        for (const Place& each : next) reach(&from, each);
      }
    }
  }
};

TEST_CASE("wherever orders, VMs and restarts lead, states change only as the table allows") {
  for (const auto policy :
       {model::RestartKind::no, model::RestartKind::on_failure, model::RestartKind::always}) {
    model::Machine machine;
    machine.id = MachineId("m1");
    machine.instance_id = "v1";
    machine.desired_sequence = 2;
    machine.config.restart.policy = policy;
    Walk walk;
    walk.reach(nullptr, {new_record(machine), {}});
    walk.run();
    CHECK(walk.open.empty());  // it has been everywhere
    for (const std::string& each : walk.wrong) FAIL_CHECK(each);
    std::map<MachineState, int> states;
    for (const auto& [key, place] : walk.seen) ++states[place.record.status.state];
    for (int i = 0; i <= static_cast<int>(MachineState::failed); ++i) {
      const auto state = static_cast<MachineState>(i);
      CAPTURE(model::name(state));
      CHECK(states.contains(state));
    }
    MESSAGE(walk.seen.size(), " places");
  }
}

}  // namespace
}  // namespace perigee::worker
