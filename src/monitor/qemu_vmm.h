// QemuVmm: QEMU's microvm machine. Channel, console and QMP are listening sockets in the VM's
// directory (the monitor's working directory) that QEMU inherits by descriptor: they can be
// connected before it runs, and again by a later monitor. The tap is handed over the same way.
#pragma once

#include <string>

#include "monitor/qmp.h"
#include "monitor/sandbox.h"
#include "monitor/vmm.h"
#include "sys/fd.h"
#include "sys/host.h"
#include "vm/spec.h"

namespace perigee::monitor {

class QemuVmm : public Vmm {
 public:
  // `boot` must outlive this.
  QemuVmm(sys::Host& host, const vm::BootSpec& boot) : host_(host), boot_(boot) {}

  Result<void> prepare() override;
  sys::Spawn command() override;
  void started() override;
  async::Task<Result<std::unique_ptr<sys::Stream>>> connect_channel(Deadline deadline) override;
  async::Task<Result<std::unique_ptr<sys::Stream>>> connect_console(Deadline deadline) override;
  async::Task<Result<void>> suspend(pid_t pid, Deadline deadline) override;
  async::Task<Result<void>> start_guest(Deadline deadline) override;
  async::Task<Result<void>> pause(Deadline deadline) override;
  async::Task<Result<void>> run_on(Deadline deadline) override;
  std::string distinctive_argument() const override;
  std::string exit_words(const sys::ExitStatus& status) const override { return status.str(); }
  async::Task<void> follow_counters() override { co_return; }
  const vm::VmmCounts* counts() const override { return nullptr; }
  void clean_up() override;

 private:
  Result<void> prepare_ram();
  Result<void> prepare_tap();
  async::Task<Result<void>> save(Qmp& qmp, pid_t pid);
  async::Task<Result<std::string>> device_state(Qmp& qmp);

  sys::Host& host_;
  const vm::BootSpec& boot_;
  sys::Fd channel_;
  sys::Fd console_;
  sys::Fd qmp_;
  sys::Fd tap_;
  sys::Fd ram_;
  sys::Fd state_;
  sys::Fd log_;
  Sandbox sandbox_;
};

}  // namespace perigee::monitor
