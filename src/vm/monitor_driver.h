// MonitorDriver: the Driver of real hosts. Each VM is kept by a perigee-monitor process of its own,
// which outlives the worker; this class starts monitors, follows what they report, and finds them
// again by the records in the VMs' directories. Where a monitor has died it starts another that
// adopts the VM.
//
//   auto driver = co_await MonitorDriver::open(host, {.machines_dir = …});
//   auto running = co_await driver->adopt();
//
// One loop. Decision record: docs/decisions/0006-monitor.md.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "async/event.h"
#include "async/task_group.h"
#include "sys/host.h"
#include "vm/driver.h"
#include "vm/monitor_client.h"
#include "vm/platform.h"
#include "vm/spec.h"

namespace perigee::vm {

struct MonitorDriverConfig {
  std::string machines_dir;  // a VM's directory is <machines_dir>/<machine>/vm
  std::string run_dir;       // monitors listen at <run_dir>/<machine>.sock
  std::string host_dir;      // measurements of this host are kept here
  // Holds vmlinux, initrd.cpio (or initrd.cpio.gz), and initrd-encryption.cpio for machines with an
  // encrypted volume (without it the other one is for all).
  std::string guest_dir;
  std::string monitor_program;                      // perigee-monitor
  std::optional<Platform> platform = std::nullopt;  // unset: trial boots decide
  std::string cgroup = {};  // VMMs' control groups are made in it; empty: they have none
};

class MonitorDriver : public Driver {
 public:
  // Makes trial boots if this host has seen none since it came up: up to 15 s each where KVM hangs.
  static async::Task<Result<std::unique_ptr<MonitorDriver>>> open(sys::Host& host,
                                                                  MonitorDriverConfig config);
  ~MonitorDriver() override;
  MonitorDriver(const MonitorDriver&) = delete;
  MonitorDriver& operator=(const MonitorDriver&) = delete;

  std::string accelerator() const override { return std::string(to_string(platform_)); }
  // What was preferred, and why it is not what VMs run on; "" where nothing was.
  const std::string& refused() const { return refused_; }
  DriverLimits limits() const override;
  async::Task<Result<std::vector<VmStatus>>> adopt() override;
  async::Task<Result<void>> boot(VmSpec spec) override;
  async::Task<Result<void>> signal(MachineId machine, int number) override;
  async::Task<Result<std::unique_ptr<sys::Stream>>> exec(MachineId machine) override;
  async::Task<Result<void>> kill(MachineId machine) override;
  // Output and console logs stay in the VM's directory, for the next boot to go on with.
  async::Task<Result<void>> forget(MachineId machine) override;
  async::Task<Result<void>> suspend(MachineId machine) override;
  async::Task<Result<std::unique_ptr<Hold>>> hold(MachineId machine) override;
  async::Task<Result<void>> discard(MachineId machine) override;
  async::Task<Result<std::vector<ListeningSocket>>> listening(MachineId machine) override;
  async::Task<Result<channel::Stats>> stats(MachineId machine) override;
  async::Task<Result<json::Value>> processes(MachineId machine) override;
  async::Task<Result<std::optional<VmmCounts>>> vmm_counts(MachineId machine) override;
  async::Task<VmStatus> next_event() override;

  // Where a machine's output log is (output_log.h).
  std::string vm_directory(const MachineId& machine) const;

 private:
  struct Vm {
    VmStatus status;
    bool queued = false;  // stands in changes_
  };
  class Start;

  MonitorDriver(sys::Host& host, MonitorDriverConfig config, VmmSettings vmm,
                std::string encryption_initrd, const PlatformVerdict& verdict);
  std::string file(const MachineId& machine, std::string_view name) const;
  std::string socket(const MachineId& machine) const;
  async::Task<Result<json::Value>> inquire(MachineId machine, std::string topic);

  async::Task<Result<void>> write_spec(VmSpec spec);
  async::Task<Result<void>> run_monitor(std::vector<std::string> arguments, std::string input);
  async::Task<void> watch(MachineId machine);
  async::Task<Result<void>> follow(MachineId machine);
  async::Task<Result<VmStatus>> take_up(MachineId machine);
  async::Task<Result<VmStatus>> recorded_exit(MachineId machine);
  async::Task<Result<void>> start_adoption(MachineId machine);
  async::Task<void> give_up(MachineId machine, Error why);
  async::Task<Result<VmmRecord>> vmm_record(MachineId machine);
  async::Task<Result<void>> kill_recorded(MachineId machine);
  // Null: it has ended. Not found: no record of one.
  async::Task<Result<std::unique_ptr<sys::Process>>> recorded_vmm(MachineId machine);
  async::Task<void> end_vmm(MachineId machine);
  async::Task<Result<void>> remove_records(MachineId machine);
  std::string cgroup(const MachineId& machine) const;
  async::Task<void> remove_cgroup(MachineId machine);
  void remove_empty_cgroups() const;
  void update(VmStatus status);

  sys::Host& host_;
  MonitorDriverConfig config_;
  VmmSettings vmm_;
  std::string encryption_initrd_;
  Platform platform_;
  std::string refused_;
  std::map<MachineId, Vm> vms_;
  std::deque<MachineId> changes_;
  async::Notify changed_;
  async::TaskGroup watchers_;
};

}  // namespace perigee::vm
