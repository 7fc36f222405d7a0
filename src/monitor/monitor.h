// Monitor: one VM's keeper. It starts the VMM (or finds it again), keeps what the guest says,
// serves the driver on its socket, and records how the VM ended before anybody is told.
//
// States: booting → running → exited, as in VmStatus; `exited` is announced when the VMM is gone,
// so that disks and tap are free again. The working directory is the VM's. One thread, one loop;
// blocking file writes are done in place, as there is nobody else to wait.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "async/event.h"
#include "async/task_group.h"
#include "monitor/bounded_log.h"
#include "monitor/control_server.h"
#include "monitor/exec_sessions.h"
#include "monitor/guest_link.h"
#include "monitor/inquiry.h"
#include "monitor/output_pace.h"
#include "monitor/output_writer.h"
#include "monitor/vmm.h"
#include "monitor/vmm_log.h"
#include "sys/host.h"
#include "vm/spec.h"

namespace perigee::monitor {

class Monitor : public GuestListener, public ControlTarget {
 public:
  Monitor(sys::Host& host, vm::BootSpec boot);
  ~Monitor() override;

  // Starts the VMM, or finds the one that an earlier monitor started. An error leaves nothing
  // behind; after success the VM is in keep() alone.
  async::Task<Result<void>> boot();
  async::Task<Result<void>> adopt();
  // Until the VM has ended and its end is recorded and told.
  async::Task<void> keep();

  // A boot without disks, network or task: returns once init has answered. For the trial of a
  // platform.
  async::Task<Result<void>> trial(Duration timeout);

 private:
  std::string configuration() override;
  bool lacks_secrets() const;
  void end_for_want_of_secrets();
  void forget_secrets();
  void guest_spoke() override { guest_spoke_.set(); }
  async::Task<void> guest_started(std::uint32_t pid) override;
  Duration guest_output(const channel::Output& output) override;
  async::Task<void> guest_exited(channel::Exited exited) override;
  async::Task<void> guest_failed(channel::Failed failed) override;
  void guest_exec(const channel::GuestMessage& message) override { execs_.guest_says(message); }
  void guest_lost() override { execs_.guest_lost(); }
  void guest_listens(channel::Listening report) override { listening_.answered(std::move(report)); }
  void guest_counts(channel::Stats report) override { stats_.answered(std::move(report)); }
  void guest_runs(channel::Processes report) override { processes_.answered(std::move(report)); }

  const vm::VmStatus& status() const override { return status_; }
  async::Notify& changed() override { return changed_; }
  Result<void> signal_app(int number) override;
  Result<void> kill_vm() override;
  async::Task<Result<void>> suspend_vm() override;
  Result<void> may_exec() const override;
  async::Task<void> exec(sys::Stream& stream, std::string first_bytes) override;
  async::Task<Result<json::Value>> inquire(std::string topic) override;
  async::Task<Result<void>> hold_vm() override;
  async::Task<Result<void>> release_vm() override;

  Result<void> open_logs(VmmLog::Earlier earlier);
  Result<void> open_short_logs(VmmLog::Earlier earlier);
  Result<void> start_vmm();
  async::Task<Result<vm::VmmRecord>> find_vmm();
  async::Task<Result<void>> write_vmm_record();
  void attach(GuestLink::Guest guest);
  async::Task<void> pump_console();
  async::Task<void> run_link();
  async::Task<void> kill_after(Duration delay, std::string reason);
  async::Task<void> drain_link();
  async::Task<Result<void>> link_drained();
  async::Task<Result<void>> first_word();
  async::Task<void> vmm_ended();
  async::Task<Result<void>> read_exit();
  async::Task<Result<void>> take_up_suspend();
  async::Task<void> end_suspended();
  async::Task<Result<void>> start_up();
  async::Task<Result<void>> start_guest(Duration timeout);
  async::Task<void> record_exit(vm::VmExit exit);
  vm::VmExit death(const sys::ExitStatus& status, const std::string& words) const;
  std::string vmm_words();
  std::string console_words() const;

  sys::Host& host_;
  vm::BootSpec boot_;
  vm::VmStatus status_;
  async::Notify changed_;
  std::unique_ptr<Vmm> vmm_;
  std::unique_ptr<sys::Process> process_;
  vm::VmmRecord record_;
  std::optional<OutputWriter> output_;
  OutputPace output_pace_;
  std::optional<BoundedLog> console_;
  std::optional<VmmLog> vmm_log_;
  std::unique_ptr<GuestLink> link_;
  async::Event link_ended_;
  async::Event guest_spoke_;  // the guest has said its first word
  Inquiry<channel::Listening> listening_;
  Inquiry<channel::Stats> stats_;
  Inquiry<channel::Processes> processes_;
  std::optional<vm::VmExit> exit_;
  std::string kill_reason_;    // why we killed it, if we did
  bool stands_still_ = false;  // being suspended, or held
  ExecSessions execs_;
  ControlServer control_;
  async::TaskGroup tasks_;
};

}  // namespace perigee::monitor
