// FakeDriver: a Driver in memory, for tests of the worker and for the simulation. It boots at once
// (after `boot_time` of the loop's time), obeys signals and kills, and can be scripted:
//
//   FakeVms vms(host);  FakeDriver driver(host, vms);
//   vms.on_boot([](const VmSpec&) { return FakePlan{.exit_after = 10ms, .exit_code = 1}; });
//   vms.crash(machine);  // as if the VMM had died
//
// VMs live in FakeVms, so that a test can destroy a driver (a worker's death) and make another on
// the same VMs, which then finds them by adopt().
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/event.h"
#include "async/task_group.h"
#include "sys/host.h"
#include "vm/driver.h"

namespace perigee::vm {

struct FakePlan {
  Duration boot_time = 1ms;
  std::optional<Duration> exit_after = std::nullopt;  // after running; unset: runs until signalled
  int exit_code = 0;
  bool ignores_signals = false;
  std::optional<Error> boot_error = std::nullopt;
  std::optional<Error> suspend_error = std::nullopt;
  std::optional<Error> release_error = std::nullopt;  // of a Hold
  std::vector<ListeningSocket> listening = {};
  channel::Stats stats = {};
  std::vector<ProcessReport> processes = {};
  std::optional<VmmCounts> vmm_counts = std::nullopt;
  bool operator==(const FakePlan&) const = default;
};

// The VMs themselves, which outlive drivers.
class FakeVms {
 public:
  using Snapshots = std::map<MachineId, std::string>;  // machine → suspended instance
  // `kept`: what an earlier host's VMs left on disk.
  explicit FakeVms(sys::Host& host, Snapshots kept = {});
  using Script = std::function<FakePlan(const VmSpec&)>;
  void on_boot(Script script) { script_ = std::move(script); }
  // Who answers exec: the driver's end of a stream whose other end the test has.
  using Execs = std::function<Result<std::unique_ptr<sys::Stream>>(const MachineId&)>;
  void on_exec(Execs execs) { execs_ = std::move(execs); }

  // What a test looks at and does.
  std::optional<VmStatus> status(const MachineId& machine) const;
  const VmSpec* spec(const MachineId& machine) const;  // null: no such VM
  std::size_t size() const { return vms_.size(); }
  int boots() const { return boots_; }  // in all
  const std::vector<std::pair<MachineId, int>>& signals() const { return signals_; }
  void crash(const MachineId& machine);                // the VMM dies
  void exit(const MachineId& machine, int exit_code);  // the app exits
  // The instance whose snapshot is there; empty: none.
  std::string snapshot(const MachineId& machine) const;
  const Snapshots& snapshots() const { return snapshots_; }
  int resumes() const { return resumes_; }  // in all
  int holds() const { return holds_; }      // likewise

 private:
  friend class FakeDriver;
  struct Vm {
    VmSpec spec;
    VmStatus status;
    FakePlan plan;
  };
  void end(const MachineId& machine, VmExit exit);
  void changed(const VmStatus& status);
  static async::Task<void> live(FakeVms& vms, MachineId machine, std::string instance_id);

  sys::Host& host_;
  Script script_;
  Execs execs_;
  std::map<MachineId, Vm> vms_;
  Snapshots snapshots_;
  std::vector<std::pair<MachineId, int>> signals_;
  int boots_ = 0;
  int resumes_ = 0;
  int holds_ = 0;
  class FakeDriver* driver_ = nullptr;
  async::TaskGroup lives_;
};

class FakeDriver : public Driver {
 public:
  FakeDriver(sys::Host& host, FakeVms& vms);
  ~FakeDriver() override;
  FakeDriver(const FakeDriver&) = delete;
  FakeDriver& operator=(const FakeDriver&) = delete;

  std::string accelerator() const override { return "fake"; }
  DriverLimits limits() const override { return {}; }
  async::Task<Result<std::vector<VmStatus>>> adopt() override;
  async::Task<Result<void>> boot(VmSpec spec) override;
  async::Task<Result<void>> signal(MachineId machine, int number) override;
  async::Task<Result<std::unique_ptr<sys::Stream>>> exec(MachineId machine) override;
  async::Task<Result<void>> kill(MachineId machine) override;
  async::Task<Result<void>> forget(MachineId machine) override;
  async::Task<Result<void>> suspend(MachineId machine) override;
  async::Task<Result<std::unique_ptr<Hold>>> hold(MachineId machine) override;
  async::Task<Result<void>> discard(MachineId machine) override;
  async::Task<Result<std::vector<ListeningSocket>>> listening(MachineId machine) override;
  async::Task<Result<channel::Stats>> stats(MachineId machine) override;
  async::Task<Result<json::Value>> processes(MachineId machine) override;
  async::Task<Result<std::optional<VmmCounts>>> vmm_counts(MachineId machine) override;
  async::Task<VmStatus> next_event() override;

 private:
  friend class FakeVms;
  static constexpr std::size_t kMaxEvents = 4096;
  FakeVms& vms_;
  async::Mailbox<VmStatus> events_;
};

}  // namespace perigee::vm
