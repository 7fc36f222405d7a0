#include "monitor/qemu_vmm.h"

#include <fcntl.h>
#include <unistd.h>

#include "sys/posix_host.h"
#include "sys/tap.h"
#include "vm/qemu.h"

namespace perigee::monitor {
namespace {

constexpr int kBacklog = 4;
constexpr const char* kVmmLog = "vmm.log";  // QEMU's standard error

Result<sys::Fd> listen_at(std::string_view name) {
  TRY(const sys::Address address, sys::Address::unix_path(name));
  return sys::listen_socket(address, kBacklog);
}

async::Task<Result<std::unique_ptr<sys::Stream>>> connect_to(sys::Host& host, std::string_view name,
                                                             Deadline deadline) {
  CO_TRY(const sys::Address address, sys::Address::unix_path(name));
  co_return co_await host.network.connect(address, deadline);
}

}  // namespace

Result<void> QemuVmm::prepare() {
  TRY(channel_, listen_at(vm::kChannelSocket));
  TRY(console_, listen_at(vm::kConsoleSocket));
  TRY(qmp_, listen_at(vm::kQmpSocket));
  TRY(log_, sys::own(::open(kVmmLog, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), kVmmLog));
  if (boot_.vm.nic.tap.empty()) return {};
  return prepare_tap();
}

Result<void> QemuVmm::prepare_tap() {
  const vm::Nic& nic = boot_.vm.nic;
  TRY(tap_, sys::open_tap(nic.tap));
  return sys::set_up_tap({.name = nic.tap,
                          .mtu = nic.mtu,
                          .host_address = nic.gateway,
                          .guest_address = nic.address,
                          .guest_mac = nic.mac});
}

sys::Spawn QemuVmm::command() {
  sys::Spawn spawn{.argv = vm::qemu_command(boot_)};
  spawn.descriptors = {{log_.get(), 1},
                       {log_.get(), 2},
                       {channel_.get(), vm::kChannelFd},
                       {console_.get(), vm::kConsoleFd},
                       {qmp_.get(), vm::kQmpFd}};
  if (tap_.valid()) spawn.descriptors.emplace_back(tap_.get(), vm::kTapFd);
  spawn.new_session = true;
  return spawn;
}

void QemuVmm::started() {
  for (sys::Fd* fd : {&channel_, &console_, &qmp_, &tap_, &log_}) fd->reset();
}

async::Task<Result<std::unique_ptr<sys::Stream>>> QemuVmm::connect_channel(Deadline deadline) {
  return connect_to(host_, vm::kChannelSocket, deadline);
}

async::Task<Result<std::unique_ptr<sys::Stream>>> QemuVmm::connect_console(Deadline deadline) {
  return connect_to(host_, vm::kConsoleSocket, deadline);
}

std::string QemuVmm::distinctive_argument() const {
  return vm::qemu_name(boot_.vm.machine);
}

void QemuVmm::clean_up() {
  for (const std::string_view name : {vm::kChannelSocket, vm::kConsoleSocket, vm::kQmpSocket}) {
    ::unlink(std::string(name).c_str());
  }
}

}  // namespace perigee::monitor
