// FirecrackerVmm: a Firecracker in its jail. It is set up over its API socket once it runs, reads
// its tap and disks as a user of its own, and is reached through its jail: the control channel by
// its vsock, the console by a named pipe. The jail and the tap are removed after it.
#pragma once

#include <optional>
#include <string>

#include "monitor/firecracker_api.h"
#include "monitor/jail_files.h"
#include "monitor/vmm.h"
#include "sys/fd.h"
#include "sys/host.h"
#include "vm/jail.h"
#include "vm/spec.h"

namespace perigee::monitor {

class FirecrackerVmm : public Vmm {
 public:
  // `boot` must outlive this.
  FirecrackerVmm(sys::Host& host, const vm::BootSpec& boot);

  Result<void> prepare() override;
  sys::Spawn command() override;
  void started() override;
  async::Task<Result<void>> start_guest(Deadline deadline) override;
  async::Task<Result<std::unique_ptr<sys::Stream>>> connect_channel(Deadline deadline) override;
  async::Task<Result<std::unique_ptr<sys::Stream>>> connect_console(Deadline deadline) override;
  async::Task<Result<void>> suspend(pid_t pid, Deadline deadline) override;
  async::Task<Result<void>> pause(Deadline deadline) override;
  async::Task<Result<void>> run_on(Deadline deadline) override;
  std::string distinctive_argument() const override;
  std::string exit_words(const sys::ExitStatus& status) const override;
  async::Task<void> follow_counters() override;
  const vm::VmmCounts* counts() const override { return &counters_.counts(); }
  void clean_up() override;

 private:
  async::Task<Result<std::unique_ptr<sys::Stream>>> connect_in_jail(std::string path,
                                                                    Deadline deadline);
  async::Task<Result<std::unique_ptr<FirecrackerApi>>> connect_api(Deadline deadline);
  async::Task<Result<std::unique_ptr<FirecrackerApi>>> wait_for_api(Deadline deadline);
  async::Task<Result<void>> set_going(FirecrackerApi& api);
  async::Task<Result<void>> save(FirecrackerApi& api);
  async::Task<Result<void>> go_on(FirecrackerApi& api);

  sys::Host& host_;
  const vm::BootSpec& boot_;
  vm::JailPlan plan_;
  vm::JailUser user_;
  std::optional<vm::JailCgroups> cgroups_;
  sys::Fd log_;
  vm::VmmCounterReader counters_;
};

}  // namespace perigee::monitor
