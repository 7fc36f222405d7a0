#include "vm/fake_driver.h"

#include <csignal>
#include <utility>

namespace perigee::vm {
namespace {

constexpr std::size_t kMaxVms = 4096;

}  // namespace

FakeVms::FakeVms(sys::Host& host, Snapshots kept)
    : host_(host),
      script_([](const VmSpec&) { return FakePlan{}; }),
      execs_([](const MachineId& machine) -> Result<std::unique_ptr<sys::Stream>> {
        return fail(Code::unsupported, "machine {}: no exec in this test", machine.str());
      }),
      snapshots_(std::move(kept)),
      lives_(host.loop, kMaxVms) {}

std::optional<VmStatus> FakeVms::status(const MachineId& machine) const {
  const auto it = vms_.find(machine);
  if (it == vms_.end()) return std::nullopt;
  return it->second.status;
}

const VmSpec* FakeVms::spec(const MachineId& machine) const {
  const auto it = vms_.find(machine);
  return it == vms_.end() ? nullptr : &it->second.spec;
}

std::string FakeVms::snapshot(const MachineId& machine) const {
  const auto it = snapshots_.find(machine);
  return it == snapshots_.end() ? "" : it->second;
}

void FakeVms::crash(const MachineId& machine) {
  end(machine, VmExit{.exit_code = 137,
                      .signal = SIGKILL,
                      .vmm_died = true,
                      .reason = "the VMM died (signal 9 (Killed))"});
}

void FakeVms::exit(const MachineId& machine, int exit_code) {
  end(machine, VmExit{.exit_code = exit_code, .reason = fmt::format("exit code {}", exit_code)});
}

void FakeVms::end(const MachineId& machine, VmExit exit) {
  const auto it = vms_.find(machine);
  if (it == vms_.end() || it->second.status.state == VmState::exited) return;
  VmStatus& status = it->second.status;
  status.state = VmState::exited;
  status.ended_at = host_.clock.wall();
  status.exit = std::move(exit);
  changed(status);
}

void FakeVms::changed(const VmStatus& status) {
  if (driver_ != nullptr) PERIGEE_CHECK(driver_->events_.push(status));
}

async::Task<void> FakeVms::live(FakeVms& vms, MachineId machine, std::string instance_id) {
  const auto mine = [&]() -> Vm* {  // the VM, while it is this boot and has not ended
    const auto it = vms.vms_.find(machine);
    if (it == vms.vms_.end() || it->second.spec.instance_id != instance_id) return nullptr;
    return it->second.status.state == VmState::exited ? nullptr : &it->second;
  };
  const FakePlan plan = vms.vms_.at(machine).plan;
  co_await vms.host_.loop.sleep(plan.boot_time);
  Vm* vm = mine();
  if (vm == nullptr) co_return;
  vm->status.state = VmState::running;
  vm->status.started_at = vms.host_.clock.wall();
  vms.changed(vm->status);
  if (!plan.exit_after) co_return;
  co_await vms.host_.loop.sleep(*plan.exit_after);
  if (mine() != nullptr) vms.exit(machine, plan.exit_code);
}

FakeDriver::FakeDriver(sys::Host& host, FakeVms& vms) : vms_(vms), events_(host.loop, kMaxEvents) {
  PERIGEE_CHECK(vms_.driver_ == nullptr);
  vms_.driver_ = this;
}

FakeDriver::~FakeDriver() {
  vms_.driver_ = nullptr;
}

async::Task<Result<std::vector<VmStatus>>> FakeDriver::adopt() {
  std::vector<VmStatus> found;
  for (const auto& [machine, vm] : vms_.vms_) found.push_back(vm.status);
  co_return found;
}

async::Task<Result<void>> FakeDriver::boot(VmSpec spec) {
  if (vms_.vms_.contains(spec.machine)) {
    co_return fail(Code::already_exists, "machine {}: a VM is there already", spec.machine.str());
  }
  FakePlan plan = vms_.script_(spec);
  ++vms_.boots_;
  if (plan.boot_error) co_return fail(*std::move(plan.boot_error));
  const bool fits = vms_.snapshot(spec.machine) == spec.instance_id;
  if (spec.resume && !fits) {
    co_return fail(Code::not_found, "machine {}: no snapshot fits", spec.machine.str());
  }
  vms_.snapshots_.erase(spec.machine);
  if (spec.resume) ++vms_.resumes_;
  VmStatus status;
  status.machine = spec.machine;
  status.instance_id = spec.instance_id;
  status.vmm_pid = 1000 + vms_.boots_;
  const MachineId machine = spec.machine;
  const std::string instance_id = spec.instance_id;
  vms_.vms_.emplace(machine, FakeVms::Vm{std::move(spec), std::move(status), std::move(plan)});
  vms_.lives_.spawn(FakeVms::live(vms_, machine, instance_id));
  co_return Result<void>();
}

async::Task<Result<void>> FakeDriver::signal(MachineId machine, int number) {
  const auto it = vms_.vms_.find(machine);
  if (it == vms_.vms_.end() || it->second.status.state == VmState::exited) {
    co_return fail(Code::not_found, "machine {}: no VM runs", machine.str());
  }
  vms_.signals_.emplace_back(machine, number);
  if (it->second.plan.ignores_signals && number != SIGKILL) co_return Result<void>();
  vms_.end(machine, VmExit{.exit_code = 128 + number,
                           .signal = number,
                           .reason = fmt::format("signal {}", number)});
  co_return Result<void>();
}

async::Task<Result<std::unique_ptr<sys::Stream>>> FakeDriver::exec(MachineId machine) {
  const auto it = vms_.vms_.find(machine);
  if (it == vms_.vms_.end() || it->second.status.state != VmState::running) {
    co_return fail(Code::conflict, "machine {}: its app does not run", machine.str());
  }
  co_return vms_.execs_(machine);
}

async::Task<Result<void>> FakeDriver::suspend(MachineId machine) {
  const auto it = vms_.vms_.find(machine);
  if (it == vms_.vms_.end() || it->second.status.state != VmState::running) {
    co_return fail(Code::conflict, "machine {}: no VM runs", machine.str());
  }
  if (it->second.plan.suspend_error) co_return fail(*it->second.plan.suspend_error);
  vms_.snapshots_[machine] = it->second.spec.instance_id;
  vms_.end(machine, VmExit{.suspended = true, .reason = "suspended"});
  co_return Result<void>();
}

async::Task<Result<std::vector<ListeningSocket>>> FakeDriver::listening(MachineId machine) {
  const auto it = vms_.vms_.find(machine);
  if (it == vms_.vms_.end() || it->second.status.state != VmState::running) {
    co_return fail(Code::unavailable, "machine {}: no VM runs", machine.str());
  }
  co_return it->second.plan.listening;
}

namespace {

class FakeHold : public Hold {
 public:
  explicit FakeHold(std::optional<Error> error) : error_(std::move(error)) {}
  async::Task<Result<void>> release() override {
    if (error_) co_return fail(*error_);
    co_return Result<void>();
  }

 private:
  std::optional<Error> error_;
};

}  // namespace

async::Task<Result<std::unique_ptr<Hold>>> FakeDriver::hold(MachineId machine) {
  const auto it = vms_.vms_.find(machine);
  if (it == vms_.vms_.end() || it->second.status.state != VmState::running) {
    co_return fail(Code::unavailable, "machine {}: no VM runs", machine.str());
  }
  ++vms_.holds_;
  co_return std::unique_ptr<Hold>(std::make_unique<FakeHold>(it->second.plan.release_error));
}

async::Task<Result<channel::Stats>> FakeDriver::stats(MachineId machine) {
  const auto it = vms_.vms_.find(machine);
  if (it == vms_.vms_.end() || it->second.status.state != VmState::running) {
    co_return fail(Code::unavailable, "machine {}: no VM runs", machine.str());
  }
  co_return it->second.plan.stats;
}

async::Task<Result<json::Value>> FakeDriver::processes(MachineId machine) {
  const auto it = vms_.vms_.find(machine);
  if (it == vms_.vms_.end() || it->second.status.state != VmState::running) {
    co_return fail(Code::unavailable, "machine {}: no VM runs", machine.str());
  }
  co_return to_json(it->second.plan.processes);
}

async::Task<Result<std::optional<VmmCounts>>> FakeDriver::vmm_counts(MachineId machine) {
  const auto it = vms_.vms_.find(machine);
  co_return it == vms_.vms_.end() ? std::nullopt : it->second.plan.vmm_counts;
}

async::Task<Result<void>> FakeDriver::discard(MachineId machine) {
  vms_.snapshots_.erase(machine);
  co_return Result<void>();
}

async::Task<Result<void>> FakeDriver::kill(MachineId machine) {
  if (!vms_.vms_.contains(machine)) {
    co_return fail(Code::not_found, "machine {}: no VM runs", machine.str());
  }
  vms_.crash(machine);
  co_return Result<void>();
}

async::Task<Result<void>> FakeDriver::forget(MachineId machine) {
  const auto it = vms_.vms_.find(machine);
  if (it == vms_.vms_.end()) co_return Result<void>();
  if (it->second.status.state != VmState::exited) {
    co_return fail(Code::conflict, "machine {}: its VM still runs", machine.str());
  }
  vms_.vms_.erase(it);
  co_return Result<void>();
}

async::Task<VmStatus> FakeDriver::next_event() {
  std::optional<VmStatus> event = co_await events_.pop();
  PERIGEE_CHECK(event.has_value());  // the mailbox is never closed
  co_return *std::move(event);
}

}  // namespace perigee::vm
