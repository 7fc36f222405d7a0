#include "monitor/monitor.h"

#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <utility>

#include "async/combine.h"
#include "base/log.h"
#include "base/text.h"
#include "channel/codec.h"
#include "monitor/guest_report.h"
#include "monitor/snapshot.h"
#include "sys/procfs.h"
#include "sys/tap.h"

namespace perigee::monitor {
namespace {

constexpr std::size_t kMaxTasks = 16;
constexpr Duration kBootTimeout = 180s;    // until init's first word; a busy host emulates slowly
constexpr Duration kPowerOffTimeout = 5s;  // from the app's end to the VMM's
constexpr Duration kDrainTimeout = 2s;     // from the VMM's end to its sockets'
constexpr Duration kSuspendTimeout = 60s;
constexpr Duration kStartTimeout = 30s;  // of the VMM, to the guest's first instruction
constexpr Duration kRunOnTimeout = 5s;
constexpr Duration kFarewellTimeout = 500ms;
constexpr Duration kConsoleRetry = 200ms;
constexpr std::string_view kKilled = "killed";  // by the driver
constexpr int kCannotRun = 127;                 // as a shell says it
constexpr unsigned kRecordMode = 0600;

std::string here(std::string_view name) {
  return fmt::format("./{}", name);
}

async::Task<void> keep_result(async::Task<Result<void>> task, Result<void>& into) {
  into = co_await std::move(task);
}

channel::Configure configure(const vm::VmSpec& spec) {
  channel::Configure message;
  message.argv = spec.process.argv;
  message.env = spec.process.env;
  const auto& secret_variables = spec.secrets.environment;
  message.env.insert(message.env.end(), secret_variables.begin(), secret_variables.end());
  message.user = spec.process.user;
  message.workdir = spec.process.directory;
  message.tty = spec.process.tty;
  message.hostname = spec.hostname;
  message.layers = static_cast<std::uint32_t>(spec.layers.size());
  message.upper_disk = message.layers;
  std::uint32_t disk = message.layers + 1;
  for (const vm::VmVolume& volume : spec.volumes) {
    message.volumes.push_back({.disk = disk++, .path = volume.path});
  }
  for (const auto& [index, key] : spec.secrets.volume_keys) {
    const auto place = static_cast<std::size_t>(index);
    if (place < message.volumes.size()) message.volumes[place].key = key;
  }
  if (spec.nic.tap.empty()) return message;
  message.addresses = {spec.nic.address + "/32"};
  message.gateways = {spec.nic.gateway};
  if (!spec.nic.address6.empty()) {
    message.addresses.push_back(spec.nic.address6 + "/128");
    message.gateways.push_back(spec.nic.gateway6);
  }
  message.gateway_mac = sys::kTapHostMac;
  message.nameservers = spec.nic.nameservers;
  message.mtu = static_cast<std::uint32_t>(spec.nic.mtu);
  return message;
}

vm::VmExit exit_of(const channel::Exited& exited) {
  vm::VmExit exit{.exit_code = exited.exit_code,
                  .signal = static_cast<int>(exited.signal),
                  .oom_killed = exited.oom_killed};
  exit.reason = exit.signal == 0
                    ? fmt::format("exit code {}", exit.exit_code)
                    : fmt::format("signal {} ({})", exit.signal, ::strsignal(exit.signal));
  if (exit.oom_killed) exit.reason += ", the guest was out of memory";
  return exit;
}

}  // namespace

Monitor::Monitor(sys::Host& host, vm::BootSpec boot)
    : host_(host),
      boot_(std::move(boot)),
      changed_(host.loop),
      link_ended_(host.loop),
      guest_spoke_(host.loop),
      listening_(host.loop, channel::Topic::kListening),
      stats_(host.loop, channel::Topic::kStats),
      processes_(host.loop, channel::Topic::kProcesses),
      execs_(host, [this](std::string frame) { return link_->send(std::move(frame)); }),
      control_(host, *this),
      tasks_(host.loop, kMaxTasks) {
  status_.machine = boot_.vm.machine;
  status_.instance_id = boot_.vm.instance_id;
  status_.monitor_pid = ::getpid();
  vmm_ = make_vmm(host_, boot_);
}

Monitor::~Monitor() = default;

Result<void> Monitor::open_logs(VmmLog::Earlier earlier) {
  const std::uint64_t bytes = boot_.vm.log_bytes;
  TRY(OutputWriter output, OutputWriter::open(".", bytes > 0 ? bytes / 2 : vm::kMaxOutputLog));
  output_ = std::move(output);
  return open_short_logs(earlier);
}

Result<void> Monitor::open_short_logs(VmmLog::Earlier earlier) {
  TRY(BoundedLog console, BoundedLog::open(here(vm::kConsoleLog), here(vm::kOldConsoleLog)));
  console_ = std::move(console);
  TRY(VmmLog vmm_log, VmmLog::open(earlier));
  vmm_log_ = std::move(vmm_log);
  return {};
}

// The channel is connected before the fork, so the guest finds its host there.
Result<void> Monitor::start_vmm() {
  TRY_VOID(vmm_->prepare());
  attach(boot_.vm.resume ? GuestLink::Guest::resumes : GuestLink::Guest::boots);
  auto process = host_.processes.spawn(vmm_->command());
  vmm_->started();
  if (!process) {
    tasks_.cancel_all();
    vmm_->clean_up();
    return fail(std::move(process).error());
  }
  process_ = std::move(*process);
  status_.vmm_pid = process_->pid();
  return {};
}

void Monitor::attach(GuestLink::Guest guest) {
  link_ =
      std::make_unique<GuestLink>(host_, *vmm_, *this, guest, output_ ? output_->received() : 0);
  tasks_.spawn(run_link());
  tasks_.spawn(pump_console());
  tasks_.spawn(vmm_log_->pump(host_));
  tasks_.spawn(vmm_->follow_counters());
}

async::Task<void> Monitor::run_link() {
  co_await link_->run();
  link_ended_.set();
}

async::Task<Result<void>> Monitor::boot() {
  CO_TRY_VOID(open_logs(VmmLog::Earlier::drop));
  if (!boot_.vm.resume) output_->forget_chunks();
  CO_TRY_VOID(start_vmm());
  output_->say(host_.clock.wall(),
               fmt::format("{} instance {}", boot_.vm.resume ? "Resuming" : "Starting",
                           status_.instance_id));
  const Result<void> ready = co_await start_up();
  if (!ready) {
    tasks_.cancel_all();
    [[maybe_unused]] const auto killed = process_->signal(SIGKILL);
    co_await process_->wait();
    vmm_->clean_up();
    co_return ready;
  }
  tasks_.spawn(kill_after(kBootTimeout, "the guest did not come up in time"));
  co_return Result<void>();
}

async::Task<Result<void>> Monitor::start_up() {
  CO_TRY_VOID(co_await write_vmm_record());
  CO_TRY_VOID(co_await start_guest(kStartTimeout));
  co_return control_.listen(boot_.socket);
}

// Where the VMM ends meanwhile, its words are the better ones.
async::Task<Result<void>> Monitor::start_guest(Duration timeout) {
  Result<void> done = fail(Code::unavailable, "the VMM ended");
  const auto winner = co_await async::first_of(
      host_.loop, keep_result(vmm_->start_guest(host_.loop.deadline_in(timeout)), done),
      vmm_ended());
  if (done || winner == async::Winner::first) co_return done;
  co_return fail(Code::unavailable, "the VMM ended: {}: {}",
                 vmm_->exit_words(co_await process_->wait()), vmm_words());
}

async::Task<Result<void>> Monitor::write_vmm_record() {
  record_.pid = process_->pid();
  CO_TRY(record_.start_ticks, sys::process_start_ticks(record_.pid));
  CO_TRY(record_.host_boot, sys::host_boot_id());
  co_return co_await host_.disk.write_file(here(vm::kVmmFile), to_json(record_).dump(), kRecordMode,
                                           sys::Durability::cached);
}

// The record, or, where the monitor died before it wrote one, the process by its command line.
async::Task<Result<vm::VmmRecord>> Monitor::find_vmm() {
  const auto text = co_await host_.disk.read_file(here(vm::kVmmFile), vm::kMaxRecordFile);
  CO_TRY(std::string boot_id, sys::host_boot_id());
  if (text) {
    CO_TRY(const json::Value value, json::parse(*text));
    CO_TRY(vm::VmmRecord record, vm::vmm_record_from(value));
    if (record.host_boot != boot_id) co_return fail(Code::not_found, "the host has been restarted");
    co_return record;
  }
  vm::VmmRecord record{.host_boot = std::move(boot_id)};
  CO_TRY(record.pid, sys::find_process_by_argument(vmm_->distinctive_argument()));
  CO_TRY(record.start_ticks, sys::process_start_ticks(record.pid));
  co_return record;
}

async::Task<Result<void>> Monitor::adopt() {
  CO_TRY_VOID(open_logs(VmmLog::Earlier::keep));
  CO_TRY(record_, co_await find_vmm());
  CO_TRY(process_, host_.processes.adopt(record_.pid));
  // Only now is the pid held fast: what it names can no longer change.
  CO_TRY(const std::uint64_t ticks, sys::process_start_ticks(record_.pid));
  if (ticks != record_.start_ticks) {
    co_return fail(Code::not_found, "process {} is another one by now", record_.pid);
  }
  status_.vmm_pid = record_.pid;
  status_.started_at = record_.started_at;
  if (record_.started_at) status_.state = vm::VmState::running;
  CO_TRY_VOID(co_await read_exit());
  if (!exit_) CO_TRY_VOID(co_await take_up_suspend());
  CO_TRY_VOID(control_.listen(boot_.socket));
  attach(GuestLink::Guest::found);
  if (exit_) {
    tasks_.spawn(kill_after(kPowerOffTimeout, "the guest did not power off"));
  } else if (!record_.started_at) {
    tasks_.spawn(kill_after(kBootTimeout, "the guest did not come up in time"));
  }
  log_info("monitor", "adopted the VMM, pid {}, after chunk {}", record_.pid, output_->received());
  co_return Result<void>();
}

// The earlier monitor may have died while it was suspending the VM: what it had not finished is
// undone, what it had finished is ended.
async::Task<Result<void>> Monitor::take_up_suspend() {
  if (check_record(vm::hardware_of(boot_))) {
    co_await end_suspended();
    co_return Result<void>();
  }
  const auto runs = co_await vmm_->run_on(host_.loop.deadline_in(kRunOnTimeout));
  if (!runs) {
    log_warning("monitor", "killing the VMM: {}", runs.error().context);
    kill_reason_ = runs.error().context;
    [[maybe_unused]] const auto sent = process_->signal(SIGKILL);
  }
  co_return Result<void>();
}

async::Task<Result<void>> Monitor::suspend_vm() {
  if (status_.state != vm::VmState::running || exit_) {
    co_return fail(Code::conflict, "the VM does not run");
  }
  if (std::exchange(stands_still_, true)) {
    co_return fail(Code::unavailable, "the VM is being suspended, or copied, already");
  }
  const auto saved =
      co_await vmm_->suspend(process_->pid(), host_.loop.deadline_in(kSuspendTimeout));
  if (saved) {
    co_await end_suspended();
  } else {
    log_warning("monitor", "suspend: {}", saved.error().context);
  }
  stands_still_ = false;
  co_return saved;
}

async::Task<Result<void>> Monitor::hold_vm() {
  if (status_.state != vm::VmState::running || exit_) {
    co_return fail(Code::unavailable, "the VM does not run");
  }
  if (std::exchange(stands_still_, true)) {
    co_return fail(Code::unavailable, "the VM is being suspended, or copied, already");
  }
  const auto held = co_await vmm_->pause(host_.loop.deadline_in(kRunOnTimeout));
  if (held) co_return held;
  [[maybe_unused]] const auto runs = co_await release_vm();
  co_return held;
}

// A guest that can't go on is of no use to anybody.
async::Task<Result<void>> Monitor::release_vm() {
  const auto runs = co_await vmm_->run_on(host_.loop.deadline_in(kRunOnTimeout));
  stands_still_ = false;
  if (!runs && !exit_) {
    log_error("monitor", "killing the VMM, which does not go on: {}", runs.error().context);
    kill_reason_ = runs.error().context;
    [[maybe_unused]] const auto sent = process_->signal(SIGKILL);
  }
  co_return runs;
}

// The VM is on disk and holds still: its end is recorded like any other.
async::Task<void> Monitor::end_suspended() {
  co_await record_exit({.suspended = true, .reason = "suspended"});
  [[maybe_unused]] const auto sent = process_->signal(SIGKILL);
}

// The earlier monitor may have heard the guest's last word already.
async::Task<Result<void>> Monitor::read_exit() {
  const auto text = co_await host_.disk.read_file(here(vm::kExitFile), vm::kMaxRecordFile);
  if (!text) co_return Result<void>();
  guest_spoke_.set();
  CO_TRY(const json::Value value, json::parse(*text));
  CO_TRY(vm::VmStatus status, vm::status_from(value));
  exit_ = std::move(status.exit);
  status_.ended_at = status.ended_at;
  co_return Result<void>();
}

async::Task<void> Monitor::keep() {
  const sys::ExitStatus ended = co_await process_->wait();
  log_info("monitor", "the VMM ended: {}", ended.str());
  co_await drain_link();
  if (!exit_) {
    const std::string words = ended.success() ? "" : vmm_words();
    co_await record_exit(death(ended, words));
  }
  vmm_->clean_up();  // before anybody is told: what the next boot needs is free
  ::unlink(boot_.socket.c_str());
  status_.state = vm::VmState::exited;
  status_.exit = exit_;
  output_->say(host_.clock.wall(), fmt::format("Instance ended: {}", exit_->reason));
  changed_.notify_all();
  co_await control_.finish(host_.loop.deadline_in(kFarewellTimeout));
}

// What the guest wrote last may still be in the sockets.
async::Task<void> Monitor::drain_link() {
  link_->vmm_ended();
  [[maybe_unused]] const auto drained = co_await async::with_deadline(
      host_.loop, host_.loop.deadline_in(kDrainTimeout), link_drained(), "the guest's last words");
}

async::Task<Result<void>> Monitor::link_drained() {
  co_await link_ended_.wait();
  co_return Result<void>();
}

async::Task<void> Monitor::record_exit(vm::VmExit exit) {
  if (exit_) co_return;
  exit_ = std::move(exit);
  status_.ended_at = host_.clock.wall();
  vm::VmStatus final = status_;
  final.state = vm::VmState::exited;
  final.exit = exit_;
  const auto written = co_await host_.disk.write_file(here(vm::kExitFile), to_json(final).dump(),
                                                      kRecordMode, sys::Durability::synced);
  if (!written) log_error("monitor", "exit record: {}", written.error().context);
}

vm::VmExit Monitor::death(const sys::ExitStatus& status, const std::string& words) const {
  vm::VmExit exit{.exit_code = 128 + SIGKILL, .signal = SIGKILL};
  exit.vmm_died = kill_reason_ != kKilled;
  if (!kill_reason_.empty()) {
    exit.reason = kill_reason_;
    return exit;
  }
  exit.reason = status.success() ? "the guest ended without a word" + console_words()
                                 : fmt::format("the VMM died ({}){}{}", vmm_->exit_words(status),
                                               words.empty() ? "" : ": ", words);
  return exit;
}

std::string Monitor::console_words() const {
  const std::string line = console_->last_line();
  return line.empty() ? "" : fmt::format("; its console's last line: {}", line);
}

async::Task<void> Monitor::pump_console() {
  std::string buffer(4096, '\0');
  while (true) {
    auto stream = co_await vmm_->connect_console(host_.loop.deadline_in(1s));
    while (stream) {
      const auto n = co_await (*stream)->read(buffer);
      if (!n || *n == 0) break;
      console_->append(std::string_view(buffer).substr(0, *n));
    }
    co_await host_.loop.sleep(kConsoleRetry);
  }
}

// Ends a VM that hangs: at boot unless the guest has spoken, later unless the VMM has ended.
async::Task<void> Monitor::kill_after(Duration delay, std::string reason) {
  const bool booting = !guest_spoke_.is_set();
  co_await host_.loop.sleep(delay);
  if (booting && guest_spoke_.is_set()) co_return;
  kill_reason_ = reason + console_words();
  log_warning("monitor", "killing the VMM: {}", kill_reason_);
  [[maybe_unused]] const auto sent = process_->signal(SIGKILL);
}

std::string Monitor::configuration() {
  if (boot_.vm.process.argv.empty()) return {};
  if (lacks_secrets()) {
    end_for_want_of_secrets();
    return {};
  }
  return channel::encode(configure(boot_.vm));
}

bool Monitor::lacks_secrets() const {
  return boot_.needs_secrets && boot_.vm.secrets.empty();
}

// The earlier monitor died before the guest had its task, and the secrets with it: nobody may write
// them down. The worker, which can have them again, boots the machine anew.
void Monitor::end_for_want_of_secrets() {
  if (!kill_reason_.empty()) return;
  kill_reason_ = "its monitor was lost before the guest had its secrets";
  log_warning("monitor", "killing the VMM: {}", kill_reason_);
  [[maybe_unused]] const auto sent = process_->signal(SIGKILL);
}

void Monitor::forget_secrets() {
  vm::VmSecrets& secrets = boot_.vm.secrets;
  for (std::string& each : secrets.environment) ::explicit_bzero(each.data(), each.size());
  for (auto& [index, key] : secrets.volume_keys) ::explicit_bzero(key.data(), key.size());
  secrets = {};
}

async::Task<void> Monitor::guest_started(std::uint32_t) {
  forget_secrets();
  if (status_.state != vm::VmState::booting) co_return;
  status_.state = vm::VmState::running;
  status_.started_at = host_.clock.wall();
  changed_.notify_all();
  record_.started_at = status_.started_at;
  const auto written = co_await write_vmm_record();
  if (!written) log_warning("monitor", "VMM record: {}", written.error().context);
}

Duration Monitor::guest_output(const channel::Output& output) {
  const auto stream =
      output.stream == channel::Stream::kStderr ? vm::LogStream::err : vm::LogStream::out;
  const std::size_t size =
      output_->chunk(output.sequence, stream, host_.clock.wall(), output.bytes);
  return output_pace_.took(size, host_.loop.now());
}

async::Task<void> Monitor::guest_exited(channel::Exited exited) {
  co_await record_exit(exit_of(exited));
  tasks_.spawn(kill_after(kPowerOffTimeout, "the guest did not power off"));
}

async::Task<void> Monitor::guest_failed(channel::Failed failed) {
  co_await record_exit({.exit_code = kCannotRun, .reason = std::move(failed.message)});
  tasks_.spawn(kill_after(kPowerOffTimeout, "the guest did not power off"));
}

Result<void> Monitor::signal_app(int number) {
  if (status_.state == vm::VmState::exited) return fail(Code::not_found, "the VM has exited");
  return link_->send(channel::encode(channel::Signal{static_cast<std::uint32_t>(number)}));
}

Result<void> Monitor::may_exec() const {
  if (status_.state == vm::VmState::running && !exit_) return {};
  return fail(Code::conflict, "the machine's app does not run");
}

async::Task<void> Monitor::exec(sys::Stream& stream, std::string first_bytes) {
  co_await execs_.serve(stream, std::move(first_bytes));
}

async::Task<Result<json::Value>> Monitor::inquire(std::string topic) {
  if (topic == "stats") {
    CO_TRY(channel::Stats report, co_await stats_.ask(*link_));
    co_return vm::to_json(shown(std::move(report)));
  }
  if (topic == "processes") {
    CO_TRY(const channel::Processes report, co_await processes_.ask(*link_));
    co_return vm::to_json(shown(report));
  }
  if (topic == "counters" && vmm_->counts() != nullptr) co_return vm::to_json(*vmm_->counts());
  if (topic != "listening") co_return fail(Code::unsupported, "no such topic: {}", topic);
  CO_TRY(const channel::Listening report, co_await listening_.ask(*link_));
  co_return vm::to_json(shown(report));
}

Result<void> Monitor::kill_vm() {
  if (kill_reason_.empty()) kill_reason_ = kKilled;
  const auto sent = process_->signal(SIGKILL);
  if (!sent && sent.error().code != Code::not_found) return sent;
  return {};
}

async::Task<Result<void>> Monitor::trial(Duration timeout) {
  CO_TRY_VOID(open_short_logs(VmmLog::Earlier::drop));
  CO_TRY_VOID(start_vmm());
  const Deadline deadline = host_.loop.deadline_in(timeout);
  auto answered = co_await start_guest(timeout);
  if (answered) {
    answered = co_await async::with_deadline(host_.loop, deadline, first_word(), "trial boot");
  }
  [[maybe_unused]] const auto killed = process_->signal(SIGKILL);
  const sys::ExitStatus status = co_await process_->wait();
  const std::string words = vmm_words();
  vmm_->clean_up();
  if (guest_spoke_.is_set()) co_return Result<void>();
  if (!answered)
    co_return fail(Code::unavailable, "{}{}", answered.error().context, console_words());
  co_return fail(Code::unavailable, "the VMM ended: {}; {}", vmm_->exit_words(status), words);
}

// Until init speaks or the VMM is gone.
async::Task<Result<void>> Monitor::first_word() {
  co_await async::first_of(host_.loop, guest_spoke_.wait(), vmm_ended());
  co_return Result<void>();
}

async::Task<void> Monitor::vmm_ended() {
  co_await process_->wait();
}

// What the VMM complained about.
std::string Monitor::vmm_words() {
  vmm_log_->drain();
  return vmm_log_->first_line();
}

}  // namespace perigee::monitor
