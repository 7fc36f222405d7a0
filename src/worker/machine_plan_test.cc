// plan() as a table: for each situation of a machine, the next step.
#include "worker/machine_plan.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "model/json.h"
#include "worker/limits.h"
#include "worker/machine_record.h"
#include "worker/restart.h"

namespace perigee::worker {
namespace {

using model::DesiredState;
using model::MachineState;
using vm::VmState;

constexpr MonotonicTime kNow{1'000'000'000'000};

// A machine that is settled in `state`, with version v1 and everything acted on.
Record settled(DesiredState desired, MachineState state, BootPhase boot) {
  model::Machine machine;
  machine.id = MachineId("m1");
  machine.instance_id = "v1";
  machine.desired = desired;
  machine.desired_sequence = 3;
  machine.config.stop.timeout = 5s;
  Record record = new_record(machine);
  record.status.instance_id = "v1";
  record.status.acted_sequence = 3;
  record.status.state = state;
  record.boot = boot;
  return record;
}

vm::VmStatus vm_in(VmState state, std::string instance = "v1") {
  vm::VmStatus vm;
  vm.machine = MachineId("m1");
  vm.instance_id = std::move(instance);
  vm.state = state;
  return vm;
}

struct Row {
  std::string situation;
  Record record;
  Observed observed;
  Action action;
  std::optional<MonotonicTime> wake_at = std::nullopt;
};

void check(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    CAPTURE(row.situation);
    const Plan next = plan(row.record, row.observed, kNow);
    CHECK(name(next.action) == name(row.action));
    CHECK(next.wake_at == row.wake_at);
  }
}

Observed with_vm(VmState state, std::string instance = "v1") {
  Observed observed;
  observed.vm = vm_in(state, std::move(instance));
  return observed;
}

Record fresh(Record record) {
  ++record.machine.desired_sequence;
  return record;
}

Record new_version(Record record) {
  record.machine.instance_id = "v2";
  return record;
}

constexpr auto kStarted = DesiredState::started;
constexpr auto kStopped = DesiredState::stopped;
constexpr auto kSuspended = DesiredState::suspended;
constexpr auto kDestroyed = DesiredState::destroyed;

Record never_booted(DesiredState desired) {
  Record created = settled(desired, MachineState::created, BootPhase::none);
  created.status.instance_id.clear();
  created.status.acted_sequence = 0;
  return created;
}

TEST_CASE("a machine without a VM that is wanted") {
  Record resumed = settled(kStarted, MachineState::stopped, BootPhase::none);
  resumed.resume = true;
  Observed retry;
  retry.retry_at = kNow + 3s;
  Observed due;
  due.retry_at = kNow;
  check({
      {"new", never_booted(kStarted), {}, Action::boot},
      {"its boot was interrupted",
       settled(kStarted, MachineState::starting, BootPhase::ordered),
       {},
       Action::boot},
      {"exited by itself and stays so",
       settled(kStarted, MachineState::stopped, BootPhase::none),
       {},
       Action::wait},
      {"failed and stays so",
       settled(kStarted, MachineState::failed, BootPhase::none),
       {},
       Action::wait},
      {"exited by itself, asked for again",
       fresh(settled(kStarted, MachineState::stopped, BootPhase::none)),
       {},
       Action::boot},
      {"failed, in a new version",
       new_version(settled(kStarted, MachineState::failed, BootPhase::none)),
       {},
       Action::boot},
      {"restarts after a pause", settled(kStarted, MachineState::restarting, BootPhase::none),
       retry, Action::wait, kNow + 3s},
      {"restarts now", settled(kStarted, MachineState::restarting, BootPhase::none), due,
       Action::boot},
      {"stopped by the node, which is up again", resumed, {}, Action::boot},
  });
}

TEST_CASE(
    "a stop goes by the call's signal and patience, that of the node by the configuration's") {
  Record record = fresh(settled(kStopped, MachineState::stopping, BootPhase::ordered));
  Observed observed = with_vm(VmState::running);
  observed.signalled_at = kNow;
  CHECK(plan(record, observed, kNow).wake_at == kNow + 5s);
  record.machine.stop_override = model::StopConfig{.signal = "SIGKILL", .timeout = 90s};
  CHECK(plan(record, observed, kNow).wake_at == kNow + 90s);
  CHECK(stop_config(record, observed).signal == "SIGKILL");
  observed.node_down = true;
  CHECK(plan(record, observed, kNow).wake_at == kNow + 5s);
  CHECK(stop_config(record, observed).signal == "SIGINT");
}

TEST_CASE(
    "a machine that is wanted again while it is being saved waits for its end, then resumes") {
  Record record = fresh(settled(kStarted, MachineState::suspending, BootPhase::ordered));
  Observed observed = with_vm(VmState::running);
  observed.suspended = true;
  CHECK(plan(record, observed, kNow).action == Action::wait);
  vm::VmStatus saved = vm_in(VmState::exited);
  saved.exit = vm::VmExit{.suspended = true};
  note_exit(record, saved, WallTime{1});
  note_forgotten(record);
  CHECK(record.status.state == MachineState::suspended);
  CHECK(plan(record, {}, kNow).action == Action::boot);
  CHECK(may_resume(record));
}

TEST_CASE("what ran when the host was restarted runs again, and nothing else does") {
  struct HostRow {
    const char* what;
    DesiredState desired;
    MachineState state;
    BootPhase boot;
    MachineState after;
    Action action;
  };
  const std::vector<HostRow> rows{
      {"ran", kStarted, MachineState::started, BootPhase::ordered, MachineState::failed,
       Action::boot},
      {"was starting", kStarted, MachineState::starting, BootPhase::ordered, MachineState::starting,
       Action::boot},
      {"was being stopped", kStopped, MachineState::stopping, BootPhase::ordered,
       MachineState::stopped, Action::wait},
      {"was being saved", kSuspended, MachineState::suspending, BootPhase::ordered,
       MachineState::stopped, Action::wait},
      {"was stopped", kStopped, MachineState::stopped, BootPhase::none, MachineState::stopped,
       Action::wait},
      {"had ended by itself", kStarted, MachineState::stopped, BootPhase::none,
       MachineState::stopped, Action::wait},
      {"was being removed", kDestroyed, MachineState::destroying, BootPhase::ordered,
       MachineState::destroying, Action::remove},
  };
  for (const HostRow& row : rows) {
    CAPTURE(row.what);
    Record record = settled(row.desired, row.state, row.boot);
    record.machine.config.restart.policy = model::RestartKind::no;
    note_host_restart(record, WallTime{1});
    CHECK(model::name(record.status.state) == model::name(row.after));
    CHECK(record.restarts.empty());
    CHECK(name(plan(record, {}, kNow).action) == name(row.action));
  }
}

TEST_CASE("an event names who gave the order") {
  Record record = fresh(settled(kStarted, MachineState::stopped, BootPhase::none));
  record.machine.origin = model::Origin::proxy;
  order_boot(record, WallTime{1});
  CHECK(record.status.events.back().source == "proxy");
  record.machine.desired = kSuspended;
  record.machine.origin = model::Origin::autostop;
  accept_running(record, vm_in(VmState::running), WallTime{2});
  CHECK(record.status.events.back().source == "worker");
  begin_suspend(record, WallTime{3});
  CHECK(record.status.events.back().source == "autostop");
}

TEST_CASE("a machine without a VM that is to have none") {
  Observed down;
  down.node_down = true;
  Record resumed = settled(kStarted, MachineState::stopped, BootPhase::none);
  resumed.resume = true;
  check({
      {"new", never_booted(kStopped), {}, Action::settle},
      {"stopped by the node, which is still down", resumed, down, Action::wait},
      {"restarting on a node that goes down",
       settled(kStarted, MachineState::restarting, BootPhase::none), down, Action::settle},
      {"stopped as wanted",
       settled(kStopped, MachineState::stopped, BootPhase::none),
       {},
       Action::wait},
      {"stopped, and told so again",
       fresh(settled(kStopped, MachineState::stopped, BootPhase::none)),
       {},
       Action::settle},
      {"stopped while its restart was due",
       settled(kStopped, MachineState::restarting, BootPhase::none),
       {},
       Action::settle},
      {"forgotten by the driver, not by the record",
       settled(kStopped, MachineState::stopped, BootPhase::ended),
       {},
       Action::settle},
      {"to be destroyed",
       settled(kDestroyed, MachineState::stopped, BootPhase::none),
       {},
       Action::remove},
      {"destroyed",
       settled(kDestroyed, MachineState::destroyed, BootPhase::none),
       {},
       Action::wait},
  });
}

TEST_CASE("a machine with a VM that runs") {
  Observed listening = with_vm(VmState::running);
  listening.listening = true;
  Record listens = settled(kStarted, MachineState::started, BootPhase::ordered);
  listens.status.listening = true;
  Observed silent = with_vm(VmState::running);
  silent.silence = {.error = "it listens on 3000", .listens_on = "0.0.0.0:3000"};
  Record told = settled(kStarted, MachineState::started, BootPhase::ordered);
  note_silence(told, *silent.silence);
  Observed checked = with_vm(VmState::running);
  checked.checks = {{"alive", model::CheckHealth::passing, "HTTP 200 OK", {}}};
  Record knows = settled(kStarted, MachineState::started, BootPhase::ordered);
  note_checks(knows, checked.checks, {});
  Observed down = with_vm(VmState::running);
  down.node_down = true;
  const Record started = settled(kStarted, MachineState::started, BootPhase::ordered);
  check({
      {"boots", settled(kStarted, MachineState::starting, BootPhase::ordered),
       with_vm(VmState::booting), Action::wait},
      {"its app runs", settled(kStarted, MachineState::starting, BootPhase::ordered),
       with_vm(VmState::running), Action::accept},
      {"all is well", started, with_vm(VmState::running), Action::wait},
      {"its port answers", started, listening, Action::note_listening},
      {"its port answered before", listens, listening, Action::wait},
      {"its checks have news", started, checked, Action::note_checks},
      {"its checks have none", knows, checked, Action::wait},
      {"it listens elsewhere", started, silent, Action::note_silence},
      {"it still listens elsewhere", told, silent, Action::wait},
      {"it listened elsewhere, and now here", told, listening, Action::note_listening},
      {"start is called again", fresh(started), with_vm(VmState::running), Action::acknowledge},
      {"a new version", new_version(started), with_vm(VmState::running), Action::begin_stop},
      {"to be stopped", settled(kStopped, MachineState::started, BootPhase::ordered),
       with_vm(VmState::running), Action::begin_stop},
      {"to be destroyed", settled(kDestroyed, MachineState::started, BootPhase::ordered),
       with_vm(VmState::running), Action::begin_stop},
      {"to be destroyed while it stops",
       settled(kDestroyed, MachineState::stopping, BootPhase::ordered), with_vm(VmState::running),
       Action::begin_stop},
      {"the node goes down", started, down, Action::begin_stop},
  });
}

TEST_CASE("a machine that is being stopped") {
  Observed signalled = with_vm(VmState::running);
  signalled.signalled_at = kNow + -2s;
  Observed waited = with_vm(VmState::running);
  waited.signalled_at = kNow + -5s;
  Observed killed = waited;
  killed.killed_at = kNow + -1s;
  Observed long_killed = waited;
  long_killed.killed_at = kNow + -kKillAgain;
  const Record stopping = settled(kStopped, MachineState::stopping, BootPhase::ordered);
  check({
      {"not signalled yet", stopping, with_vm(VmState::running), Action::signal},
      {"signalled", stopping, signalled, Action::wait, kNow + 3s},
      {"its time is up", stopping, waited, Action::kill},
      {"killed", stopping, killed, Action::wait, kNow + kKillAgain + -1s},
      {"killed long ago", stopping, long_killed, Action::kill},
      {"not booted yet", stopping, with_vm(VmState::booting), Action::kill},
      {"wanted again meanwhile: the stop is finished",
       fresh(settled(kStarted, MachineState::stopping, BootPhase::ordered)),
       with_vm(VmState::running), Action::signal},
      {"replaced", new_version(settled(kStarted, MachineState::restarting, BootPhase::ordered)),
       with_vm(VmState::running), Action::signal},
      {"stopped while it is replaced",
       settled(kStopped, MachineState::restarting, BootPhase::ordered), with_vm(VmState::running),
       Action::begin_stop},
  });
}

// A machine whose VM is saved, with nothing left to do.
Record asleep(DesiredState desired) {
  Record record = settled(desired, MachineState::suspended, BootPhase::none);
  record.snapshot = "v1";
  return record;
}

TEST_CASE("a machine that is being suspended") {
  const Record started = settled(kSuspended, MachineState::started, BootPhase::ordered);
  const Record suspending = settled(kSuspended, MachineState::suspending, BootPhase::ordered);
  Observed saved = with_vm(VmState::running);
  saved.suspended = true;
  Observed down = with_vm(VmState::running);
  down.node_down = true;
  check({
      {"runs", fresh(started), with_vm(VmState::running), Action::begin_suspend},
      {"boots: there is nothing to save yet",
       fresh(settled(kSuspended, MachineState::starting, BootPhase::ordered)),
       with_vm(VmState::booting), Action::wait},
      {"runs, and nobody has noted it",
       fresh(settled(kSuspended, MachineState::starting, BootPhase::ordered)),
       with_vm(VmState::running), Action::accept},
      {"to be saved", suspending, with_vm(VmState::running), Action::suspend},
      {"saved, its end not told yet", suspending, saved, Action::wait},
      {"ended", suspending, with_vm(VmState::exited), Action::note_exit},
      {"could not be saved: it runs on", started, with_vm(VmState::running), Action::wait},
      {"stopped instead", settled(kStopped, MachineState::suspending, BootPhase::ordered),
       with_vm(VmState::running), Action::begin_stop},
      {"the node goes down", suspending, down, Action::begin_stop},
  });
}

TEST_CASE("a machine that is suspended") {
  Observed down;
  down.node_down = true;
  Record used_up = asleep(kStopped);
  used_up.snapshot.clear();
  check({
      {"rests", asleep(kSuspended), {}, Action::wait},
      {"rests on a node that is down", asleep(kSuspended), down, Action::wait},
      {"told so again", fresh(asleep(kSuspended)), {}, Action::settle},
      {"started", fresh(asleep(kStarted)), {}, Action::boot},
      {"started in a new version", new_version(asleep(kStarted)), {}, Action::discard},
      {"stopped", fresh(asleep(kStopped)), {}, Action::discard},
      {"stopped, without its snapshot", fresh(used_up), {}, Action::settle},
      {"destroyed", asleep(kDestroyed), {}, Action::remove},
  });
  CHECK(may_resume(asleep(kStarted)));
  CHECK_FALSE(may_resume(new_version(asleep(kStarted))));
  CHECK_FALSE(may_resume(asleep(kStopped)));
}

TEST_CASE("a machine whose VM has ended") {
  const Observed exited = with_vm(VmState::exited);
  check({
      {"not noted", settled(kStarted, MachineState::started, BootPhase::ordered), exited,
       Action::note_exit},
      {"noted", settled(kStarted, MachineState::stopped, BootPhase::ended), exited, Action::forget},
      {"left over", settled(kStarted, MachineState::stopped, BootPhase::none), exited,
       Action::forget},
      {"vanished",
       settled(kStarted, MachineState::started, BootPhase::ordered),
       {},
       Action::note_loss},
      {"vanished while it was stopped",
       settled(kStopped, MachineState::stopping, BootPhase::ordered),
       {},
       Action::note_loss},
      {"vanished while it was destroyed",
       settled(kDestroyed, MachineState::destroying, BootPhase::ordered),
       {},
       Action::note_loss},
  });
}

// ---- the restart policy ----

vm::VmExit exit_with(int code) {
  vm::VmExit exit;
  exit.exit_code = code;
  exit.reason = fmt::format("exit code {}", code);
  return exit;
}

TEST_CASE("the restart policy decides by how the app ended") {
  vm::VmExit died;
  died.vmm_died = true;
  vm::VmExit oom;
  oom.oom_killed = true;
  using model::RestartKind;
  struct Case {
    RestartKind policy;
    vm::VmExit exit;
    bool again;
  };
  const std::vector<Case> cases{
      {RestartKind::no, exit_with(1), false},         {RestartKind::no, died, false},
      {RestartKind::on_failure, exit_with(0), false}, {RestartKind::on_failure, exit_with(1), true},
      {RestartKind::on_failure, died, true},          {RestartKind::on_failure, oom, true},
      {RestartKind::always, exit_with(0), true},
  };
  for (const Case& c : cases) {
    CHECK(decide_restart({.policy = c.policy, .max_retries = 10}, c.exit, {}, {0}).again ==
          c.again);
  }
}

TEST_CASE("restarts back off, and are given up within the window") {
  const WallTime now{1'800'000'000'000'000'000};
  std::vector<WallTime> earlier;
  std::vector<std::int64_t> delays;
  const model::RestartPolicy policy{.policy = model::RestartKind::always, .max_retries = 10};
  for (int i = 0; i < 10; ++i) {
    const RestartVerdict verdict = decide_restart(policy, exit_with(1), earlier, now);
    REQUIRE(verdict.again);
    delays.push_back(to_ms(verdict.delay));
    earlier.push_back(now + -1s);
  }
  CHECK(delays ==
        std::vector<std::int64_t>{100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000});
  const RestartVerdict last = decide_restart(policy, exit_with(1), earlier, now);
  CHECK_FALSE(last.again);
  CHECK(last.why.starts_with("exit code 1 after 10 restarts within 5 minutes"));
  CHECK(decide_restart(policy, exit_with(1), earlier, now + kRestartWindow).again);
  CHECK(decide_restart(policy, exit_with(1), earlier, now + -1h).again);  // the clock was set back
}

TEST_CASE("an exit is noted once and keeps its reason") {
  Record record = settled(kStarted, MachineState::started, BootPhase::ordered);
  vm::VmStatus vm = vm_in(VmState::exited);
  vm.exit = vm::VmExit{.exit_code = 137, .vmm_died = true, .reason = "the VMM died (signal 9)"};
  const auto delay = note_exit(record, vm, {5});
  CHECK(delay == Duration(100ms));
  CHECK(record.status.state == MachineState::restarting);
  CHECK(record.status.restart_count == 1);
  CHECK(record.boot == BootPhase::ended);
  REQUIRE(record.status.last_exit);
  CHECK(record.status.last_exit->reason == "the VMM died (signal 9)");
  CHECK_FALSE(record.status.last_exit->requested_stop);
  REQUIRE(record.status.events.size() == 1);
  CHECK(record.status.events[0].type == "exit");
  CHECK(record.status.events[0].status == "failed");
}

TEST_CASE("an exit that is a suspend is no exit of the app") {
  Record record = settled(kSuspended, MachineState::suspending, BootPhase::ordered);
  vm::VmStatus vm = vm_in(VmState::exited);
  vm.exit = vm::VmExit{.suspended = true, .reason = "suspended"};
  CHECK_FALSE(note_exit(record, vm, {5}).has_value());
  CHECK(record.status.state == MachineState::suspended);
  CHECK(record.snapshot == "v1");
  CHECK_FALSE(record.status.last_exit.has_value());
}

TEST_CASE("a VM that dies while it is suspended is stopped, and its end is told") {
  Record record = settled(kSuspended, MachineState::suspending, BootPhase::ordered);
  vm::VmStatus vm = vm_in(VmState::exited);
  vm.exit = vm::VmExit{.exit_code = 137, .vmm_died = true, .reason = "the VMM died"};
  CHECK_FALSE(note_exit(record, vm, {5}).has_value());
  CHECK(record.status.state == MachineState::stopped);
  CHECK(record.status.error == "the VMM died");
  CHECK(record.snapshot.empty());
}

TEST_CASE("a boot that can't work fails at once, one that may is tried again") {
  Record record = settled(kStarted, MachineState::starting, BootPhase::ordered);
  const Error away = Error::make(Code::unavailable, "registry away");
  CHECK(note_boot_failure(record, away, 1, {1}) == Duration(kFirstBootRetry));
  CHECK(record.status.state == MachineState::starting);
  CHECK(record.status.error == "registry away");
  CHECK_FALSE(note_boot_failure(record, away, kMaxBootAttempts, {1}).has_value());
  CHECK(record.status.state == MachineState::failed);
  Record wrong = settled(kStarted, MachineState::starting, BootPhase::ordered);
  CHECK_FALSE(
      note_boot_failure(wrong, Error::make(Code::not_found, "no such image"), 1, {1}).has_value());
  CHECK(wrong.status.state == MachineState::failed);
}

}  // namespace
}  // namespace perigee::worker
