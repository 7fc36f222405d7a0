#include "monitor/firecracker_vmm.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "async/combine.h"
#include "base/log.h"
#include "channel/types.h"
#include "monitor/nic.h"
#include "monitor/sandbox.h"
#include "monitor/snapshot.h"
#include "monitor/vmm_log.h"
#include "sys/tap.h"
#include "vm/firecracker.h"

namespace perigee::monitor {
namespace {

constexpr Duration kApiRetry = 5ms;  // it is there some 10 ms after the start
constexpr Duration kRunOnTimeout = 5s;
constexpr std::size_t kCountersBuffer = 16 * 1024;
constexpr std::size_t kMaxVsockAnswer = 32;

// Firecracker's answer to CONNECT, byte by byte: what follows it is the guest's.
async::Task<Result<void>> read_vsock_answer(sys::Stream& stream) {
  std::string line;
  char byte = 0;
  while (line.size() < kMaxVsockAnswer) {
    CO_TRY(const std::size_t n, co_await stream.read(std::span<char>(&byte, 1)));
    if (n == 0) co_return fail(Code::unavailable, "vsock: nobody listens in the guest yet");
    if (byte == '\n') break;
    line += byte;
  }
  if (line.starts_with("OK ")) co_return Result<void>();
  co_return fail(Code::data_loss, "vsock: Firecracker answers '{}'", line);
}

// Both in one write: Firecracker does not put a line together.
async::Task<Result<void>> open_vsock(sys::Stream& stream) {
  const std::string request = fmt::format("CONNECT {}\n", channel::kVsockPort);
  CO_TRY_VOID(co_await stream.write(request));
  co_return co_await read_vsock_answer(stream);
}

}  // namespace

FirecrackerVmm::FirecrackerVmm(sys::Host& host, const vm::BootSpec& boot)
    : host_(host), boot_(boot), plan_(vm::jail_plan(boot)), user_{boot.vm.uid, boot.vm.uid} {}

Result<void> FirecrackerVmm::prepare() {
  if (user_.uid == 0) {
    return fail(Code::invalid_argument, "Firecracker needs a user of its own, not root");
  }
  if (boot_.vm.resume) TRY_VOID(check_record(vm::hardware_of(boot_)));
  TRY(log_, open_vmm_pipe());
  TRY_VOID(lay_out_jail(plan_, user_));
  TRY_VOID(make_cgroups(boot_.vm));
  TRY(const sys::Cgroups cgroups, sys::Cgroups::detect());
  cgroups_ = vm::jail_cgroups(boot_.vm.cgroup, cgroups.hierarchies(), cgroup_limits(boot_.vm));
  const vm::Nic& nic = boot_.vm.nic;
  if (nic.tap.empty()) return {};
  TRY_VOID(sys::make_lasting_tap(nic.tap, user_.uid));
  return sys::set_up_tap(tap_settings(nic));
}

sys::Spawn FirecrackerVmm::command() {
  sys::Spawn spawn{.argv = vm::jailer_command(boot_, user_, cgroups_)};
  spawn.descriptors = {{log_.get(), 1}, {log_.get(), 2}};
  spawn.new_session = true;
  return spawn;
}

void FirecrackerVmm::started() {
  log_.reset();
}

async::Task<Result<std::unique_ptr<sys::Stream>>> FirecrackerVmm::connect_in_jail(
    std::string path, Deadline deadline) {
  CO_TRY(const JailEntry socket, jail_entry(plan_, path, JailEntryKind::socket));
  CO_TRY(const sys::Address address, sys::Address::unix_path(socket.path));
  co_return co_await host_.network.connect(address, deadline);
}

async::Task<Result<std::unique_ptr<FirecrackerApi>>> FirecrackerVmm::connect_api(
    Deadline deadline) {
  CO_TRY(auto stream, co_await connect_in_jail(vm::jail_api_socket(boot_.vm.machine), deadline));
  co_return std::make_unique<FirecrackerApi>(std::move(stream));
}

async::Task<Result<std::unique_ptr<FirecrackerApi>>> FirecrackerVmm::wait_for_api(
    Deadline deadline) {
  while (true) {
    auto api = co_await connect_api(deadline);
    if (api || host_.loop.now() >= deadline.at) co_return api;
    co_await host_.loop.sleep(kApiRetry);
  }
}

async::Task<Result<void>> FirecrackerVmm::start_guest(Deadline deadline) {
  CO_TRY(const auto api, co_await wait_for_api(deadline));
  co_return co_await async::with_deadline(host_.loop, deadline, set_going(*api), "start");
}

async::Task<Result<void>> FirecrackerVmm::set_going(FirecrackerApi& api) {
  CO_TRY(const json::Value answer, co_await api.call({"GET", "/version"}));
  CO_TRY(const std::string words, answer.require_string("firecracker_version"));
  CO_TRY(const vm::FirecrackerVersion version, vm::parse_firecracker_version(words));
  if (!boot_.vm.resume) co_return co_await api.call_all(vm::boot_calls(boot_, version));
  CO_TRY_VOID(co_await api.call_all(vm::load_calls(version)));
  CO_TRY_VOID(remove_record());  // used up, before the guest changes anything
  co_return co_await go_on(api);
}

async::Task<Result<void>> FirecrackerVmm::go_on(FirecrackerApi& api) {
  CO_TRY([[maybe_unused]] const json::Value runs, co_await api.call(vm::resume_call()));
  co_return Result<void>();
}

async::Task<Result<std::unique_ptr<sys::Stream>>> FirecrackerVmm::connect_channel(
    Deadline deadline) {
  CO_TRY(auto stream, co_await connect_in_jail(std::string(vm::kJailVsock), deadline));
  CO_TRY_VOID(co_await async::with_deadline(host_.loop, deadline, open_vsock(*stream), "vsock"));
  co_return std::move(stream);
}

async::Task<Result<std::unique_ptr<sys::Stream>>> FirecrackerVmm::connect_console(Deadline) {
  CO_TRY(const JailEntry pipe, jail_entry(plan_, vm::kJailConsole, JailEntryKind::pipe));
  co_return host_.network.open_pipe(pipe.path);
}

async::Task<Result<void>> FirecrackerVmm::suspend(pid_t, Deadline deadline) {
  CO_TRY(const auto api, co_await connect_api(deadline));
  auto saved = co_await async::with_deadline(host_.loop, deadline, save(*api), "suspend");
  if (saved) co_return saved;
  remove_snapshot();
  // On a connection of its own: an answer may still be on its way on this one.
  const auto runs = co_await run_on(host_.loop.deadline_in(kRunOnTimeout));
  if (!runs)
    log_error("monitor", "the guest could not be set going again: {}", runs.error().context);
  co_return saved;
}

// What the guest has written to its disk is in the page cache: Firecracker waits for what is under
// way when it stops.
async::Task<Result<void>> FirecrackerVmm::save(FirecrackerApi& api) {
  CO_TRY([[maybe_unused]] const json::Value stands, co_await api.call(vm::pause_call()));
  CO_TRY([[maybe_unused]] const json::Value made, co_await api.call(vm::save_call()));
  CO_TRY_VOID(take_from_jail(plan_, vm::kJailSavedRam, vm::kRamFile, user_));
  CO_TRY_VOID(take_from_jail(plan_, vm::kJailSavedState, vm::kStateFile, user_));
  CO_TRY_VOID(sync_file(boot_.vm.upper));
  for (const vm::VmVolume& volume : boot_.vm.volumes) CO_TRY_VOID(sync_file(volume.disk));
  co_return write_record(vm::hardware_of(boot_));
}

async::Task<Result<void>> FirecrackerVmm::pause(Deadline deadline) {
  CO_TRY(const auto api, co_await connect_api(deadline));
  CO_TRY([[maybe_unused]] const json::Value stands,
         co_await async::with_deadline(host_.loop, deadline, api->call(vm::pause_call()), "pause"));
  co_return Result<void>();
}

async::Task<Result<void>> FirecrackerVmm::run_on(Deadline deadline) {
  CO_TRY(const auto api, co_await connect_api(deadline));
  CO_TRY(const json::Value answer,
         co_await async::with_deadline(host_.loop, deadline, api->call({"GET", "/"}), "GET /"));
  CO_TRY(const std::string state, answer.require_string("state"));
  if (state == "Running") co_return Result<void>();
  if (state == "Not started") {
    co_return fail(Code::data_loss, "its monitor died while it was being started");
  }
  co_return co_await async::with_deadline(host_.loop, deadline, go_on(*api), "run on");
}

// In the jailer's command line and in Firecracker's.
std::string FirecrackerVmm::distinctive_argument() const {
  return vm::jail_api_socket(boot_.vm.machine);
}

std::string FirecrackerVmm::exit_words(const sys::ExitStatus& status) const {
  if (status.kind != sys::ExitStatus::Kind::exited) return status.str();
  return vm::firecracker_exit_words(status.value);
}

async::Task<void> FirecrackerVmm::follow_counters() {
  const auto entry = jail_entry(plan_, vm::kJailMetrics, JailEntryKind::pipe);
  auto pipe = entry ? host_.network.open_pipe(entry->path) : fail(entry.error());
  if (!pipe) co_return log_warning("monitor", "the VMM's counters: {}", pipe.error().context);
  std::string buffer(kCountersBuffer, '\0');
  while (true) {
    const auto n = co_await (*pipe)->read(buffer);
    if (!n || *n == 0) co_return;
    counters_.feed(std::string_view(buffer).substr(0, *n));
  }
}

void FirecrackerVmm::clean_up() {
  if (!boot_.vm.nic.tap.empty()) sys::remove_tap(boot_.vm.nic.tap);
  remove_jail(plan_);
  remove_vmm_pipe();
  Sandbox::remove(boot_);
}

}  // namespace perigee::monitor
