#include "monitor/qemu_vmm.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "async/combine.h"
#include "base/log.h"
#include "monitor/nic.h"
#include "monitor/snapshot.h"
#include "monitor/vmm_log.h"
#include "sys/posix_host.h"
#include "sys/tap.h"
#include "vm/qemu.h"

namespace perigee::monitor {
namespace {

constexpr int kBacklog = 4;
constexpr std::size_t kMaxDeviceState = std::size_t{16} * 1024 * 1024;  // some 70 KiB in practice
constexpr Duration kMigrationPoll = 2ms;
constexpr std::int64_t kNoBandwidthLimit = 100'000'000'000;  // bytes per second
constexpr std::uint64_t kMib = 1024 * 1024;

Result<sys::Fd> listen_at(std::string_view name) {
  TRY(const sys::Address address, sys::Address::unix_path(name));
  return sys::listen_socket(address, kBacklog);
}

std::string migration_socket() {
  return fmt::format("{}/{}", vm::kVmmFolder, vm::kMigrationSocket);
}

async::Task<Result<std::unique_ptr<sys::Stream>>> connect_to(sys::Host& host, std::string_view name,
                                                             Deadline deadline) {
  CO_TRY(const sys::Address address, sys::Address::unix_path(name));
  co_return co_await host.network.connect(address, deadline);
}

// The guest's memory is a file that both ends have: only the devices' state is carried over.
async::Task<Result<void>> leave_memory_in_place(Qmp& qmp) {
  const json::Value capability = json::object({{"capability", "x-ignore-shared"}, {"state", true}});
  CO_TRY([[maybe_unused]] const json::Value set,
         co_await qmp.execute("migrate-set-capabilities",
                              json::object({{"capabilities", json::array({capability})}})));
  CO_TRY([[maybe_unused]] const json::Value fast,
         co_await qmp.execute("migrate-set-parameters",
                              json::object({{"max-bandwidth", kNoBandwidthLimit}})));
  co_return Result<void>();
}

async::Task<Result<void>> migration_completed(sys::Host& host, Qmp& qmp) {
  while (true) {
    CO_TRY(const std::string status, co_await qmp.migration_status());
    if (status == "completed") co_return Result<void>();
    co_await host.loop.sleep(kMigrationPoll);
  }
}

async::Task<Result<void>> load_state(sys::Host& host, Qmp& qmp) {
  CO_TRY_VOID(co_await leave_memory_in_place(qmp));
  CO_TRY([[maybe_unused]] const json::Value begun,
         co_await qmp.execute("migrate-incoming",
                              json::object({{"uri", fmt::format("fd:{}", vm::kStateFd)}})));
  CO_TRY_VOID(co_await migration_completed(host, qmp));
  CO_TRY_VOID(remove_record());  // used up, before the guest changes anything
  CO_TRY([[maybe_unused]] const json::Value runs, co_await qmp.execute("cont"));
  co_return Result<void>();
}

async::Task<Result<std::string>> read_all(sys::Listener& listener) {
  CO_TRY(const auto stream, co_await listener.accept());
  std::string state;
  std::string buffer(64 * 1024, '\0');
  while (state.size() <= kMaxDeviceState) {
    CO_TRY(const std::size_t n, co_await stream->read(buffer));
    if (n == 0) co_return state;
    state.append(buffer, 0, n);
  }
  co_return fail(Code::resource_exhausted, "the VM's devices have more state than is kept");
}

}  // namespace

Result<void> QemuVmm::prepare() {
  TRY(channel_, listen_at(vm::kChannelSocket));
  TRY(console_, listen_at(vm::kConsoleSocket));
  TRY(qmp_, listen_at(vm::kQmpSocket));
  TRY(log_, open_vmm_pipe());
  TRY_VOID(prepare_ram());
  TRY_VOID(sandbox_.prepare(boot_));
  if (boot_.vm.nic.tap.empty()) return {};
  return prepare_tap();
}

// Memory that can be mapped by another VMM after this one: anonymous at first, on disk in a VM that
// was resumed.
Result<void> QemuVmm::prepare_ram() {
  if (!boot_.vm.resume) {
    TRY(ram_, make_ram(static_cast<std::uint64_t>(boot_.vm.memory_mib) * kMib));
    return {};
  }
  TRY_VOID(check_record(vm::hardware_of(boot_)));
  TRY(ram_, open_saved_ram());
  TRY_VOID(give_to_vmm(ram_.get(), boot_.vm));
  const std::string path(vm::kStateFile);
  TRY(state_, sys::own(::open(path.c_str(), O_RDONLY | O_CLOEXEC), "open " + path));
  return {};
}

Result<void> QemuVmm::prepare_tap() {
  const vm::Nic& nic = boot_.vm.nic;
  TRY(tap_, sys::open_tap(nic.tap));
  return sys::set_up_tap(tap_settings(nic));
}

sys::Spawn QemuVmm::command() {
  sys::Spawn spawn{.argv = vm::qemu_command(boot_)};
  spawn.descriptors = {{log_.get(), 1},
                       {log_.get(), 2},
                       {channel_.get(), vm::kChannelFd},
                       {console_.get(), vm::kConsoleFd},
                       {qmp_.get(), vm::kQmpFd},
                       {ram_.get(), vm::kRamFd}};
  if (state_.valid()) spawn.descriptors.emplace_back(state_.get(), vm::kStateFd);
  if (tap_.valid()) spawn.descriptors.emplace_back(tap_.get(), vm::kTapFd);
  spawn.new_session = true;
  sandbox_.fill(spawn);
  return spawn;
}

void QemuVmm::started() {
  for (sys::Fd* fd : {&channel_, &console_, &qmp_, &tap_, &ram_, &state_, &log_}) fd->reset();
  sandbox_.started();
}

async::Task<Result<std::unique_ptr<sys::Stream>>> QemuVmm::connect_channel(Deadline deadline) {
  return connect_to(host_, vm::kChannelSocket, deadline);
}

async::Task<Result<std::unique_ptr<sys::Stream>>> QemuVmm::connect_console(Deadline deadline) {
  return connect_to(host_, vm::kConsoleSocket, deadline);
}

async::Task<Result<void>> QemuVmm::suspend(pid_t pid, Deadline deadline) {
  CO_TRY(const auto qmp, co_await Qmp::connect(host_, vm::kQmpSocket, deadline));
  CO_TRY([[maybe_unused]] const json::Value stands, co_await qmp->execute("stop"));
  auto saved = co_await async::with_deadline(host_.loop, deadline, save(*qmp, pid), "suspend");
  if (saved) co_return saved;
  remove_snapshot();
  const auto runs = co_await qmp->execute("cont");
  if (!runs)
    log_error("monitor", "the guest could not be set going again: {}", runs.error().context);
  co_return saved;
}

// The guest stands still. What it has written to its disk is in the page cache: QEMU waits for
// what is under way when it stops.
async::Task<Result<void>> QemuVmm::save(Qmp& qmp, pid_t pid) {
  CO_TRY(const std::string state, co_await device_state(qmp));
  const std::string memory = fmt::format("/proc/{}/fd/{}", pid, vm::kRamFd);
  CO_TRY(const sys::Fd ram, sys::own(::open(memory.c_str(), O_RDONLY | O_CLOEXEC), memory));
  CO_TRY_VOID(save_ram(ram.get()));
  CO_TRY_VOID(sync_file(boot_.vm.upper));
  for (const vm::VmVolume& volume : boot_.vm.volumes) CO_TRY_VOID(sync_file(volume.disk));
  CO_TRY_VOID(co_await host_.disk.write_file("./" + std::string(vm::kStateFile), state, 0600,
                                             sys::Durability::synced));
  co_return write_record(vm::hardware_of(boot_));
}

async::Task<Result<std::string>> QemuVmm::device_state(Qmp& qmp) {
  CO_TRY_VOID(co_await leave_memory_in_place(qmp));
  const std::string socket = migration_socket();
  CO_TRY(const sys::Address address, sys::Address::unix_path(socket));
  CO_TRY(const auto listener, host_.network.listen(address));
  if (::chown(socket.c_str(), boot_.vm.uid, boot_.vm.uid) < 0) {
    co_return fail(errno_error(errno, "give the VMM " + socket));
  }
  CO_TRY([[maybe_unused]] const json::Value begun,
         co_await qmp.execute(
             "migrate", json::object({{"uri", fmt::format("unix:{}", vm::kMigrationSocket)}})));
  CO_TRY(std::string state, co_await read_all(*listener));
  CO_TRY_VOID(co_await migration_completed(host_, qmp));
  co_return state;
}

// A VM that is not resumed runs as soon as QEMU does.
async::Task<Result<void>> QemuVmm::start_guest(Deadline deadline) {
  if (!boot_.vm.resume) co_return Result<void>();
  CO_TRY(const auto qmp, co_await Qmp::connect(host_, vm::kQmpSocket, deadline));
  co_return co_await async::with_deadline(host_.loop, deadline, load_state(host_, *qmp), "resume");
}

async::Task<Result<void>> QemuVmm::pause(Deadline deadline) {
  CO_TRY(const auto qmp, co_await Qmp::connect(host_, vm::kQmpSocket, deadline));
  CO_TRY([[maybe_unused]] const json::Value stands, co_await qmp->execute("stop"));
  co_return Result<void>();
}

async::Task<Result<void>> QemuVmm::run_on(Deadline deadline) {
  CO_TRY(const auto qmp, co_await Qmp::connect(host_, vm::kQmpSocket, deadline));
  CO_TRY(const json::Value answer, co_await qmp->execute("query-status"));
  CO_TRY(const std::string status, answer.require_string("status"));
  if (status == "running") co_return Result<void>();
  if (status == "inmigrate" || status == "prelaunch") {
    co_return fail(Code::data_loss, "its monitor died while it was being resumed");
  }
  CO_TRY([[maybe_unused]] const json::Value runs, co_await qmp->execute("cont"));
  co_return Result<void>();
}

std::string QemuVmm::distinctive_argument() const {
  return vm::qemu_name(boot_.vm.machine);
}

void QemuVmm::clean_up() {
  for (const std::string_view name : {vm::kChannelSocket, vm::kConsoleSocket, vm::kQmpSocket}) {
    ::unlink(std::string(name).c_str());
  }
  ::unlink(migration_socket().c_str());
  remove_vmm_pipe();
  Sandbox::remove(boot_);
}

}  // namespace perigee::monitor
