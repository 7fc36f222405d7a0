#include "vm/monitor_driver.h"

#include <algorithm>
#include <csignal>
#include <tuple>
#include <utility>

#include "async/combine.h"
#include "base/log.h"
#include "sys/cgroup.h"
#include "sys/procfs.h"
#include "sys/tap.h"
#include "vm/firecracker.h"
#include "vm/qemu.h"

namespace perigee::vm {
namespace {

constexpr std::size_t kMaxVms = 4096;
constexpr int kAdoptionAttempts = 5;
constexpr Duration kAdoptionPause = 200ms;  // between attempts
constexpr Duration kProvenMonitor = 2s;     // one that lives so long counts as a new start
constexpr Duration kMonitorStartTimeout = 20s;
constexpr Duration kCgroupTimeout = 10s;  // for a killed VMM's last process to be gone
constexpr Duration kCgroupPause = 10ms;
constexpr Duration kVmmEnd = 10s;            // from its SIGKILL
constexpr Duration kSuspendPatience = 120s;  // the monitor's own bound is shorter
constexpr int kGuestLayers = 8;              // what init joins
constexpr int kMaxVcpus = 32;

async::Task<Result<Guest>> find_guest(sys::Host& host, std::string directory) {
  Guest guest{.kernel = directory + "/vmlinux", .initrd = {}};
  for (const char* name : {"initrd.cpio", "initrd.cpio.gz"}) {
    const std::string path = fmt::format("{}/{}", directory, name);
    CO_TRY(const bool there, co_await host.disk.exists(path));
    if (there && guest.initrd.empty()) guest.initrd = path;
  }
  guest.encryption_initrd = directory + "/initrd-encryption.cpio";
  CO_TRY(const bool other, co_await host.disk.exists(guest.encryption_initrd));
  if (!other) guest.encryption_initrd = guest.initrd;
  CO_TRY(const bool kernel, co_await host.disk.exists(guest.kernel));
  if (!kernel || guest.initrd.empty()) {
    co_return fail(Code::not_found,
                   "{}: no guest kernel and initrd there (run ./dev build, or set guest_dir)",
                   directory);
  }
  co_return guest;
}

async::Task<Result<sys::ExitStatus>> ended(sys::Process& process) {
  co_return co_await process.wait();
}

}  // namespace

async::Task<Result<std::unique_ptr<MonitorDriver>>> MonitorDriver::open(
    sys::Host& host, MonitorDriverConfig config) {
  CO_TRY(Guest guest, co_await find_guest(host, config.guest_dir));
  CO_TRY_VOID(co_await host.disk.make_directories(config.run_dir, 0700));
  CO_TRY_VOID(co_await host.disk.make_directories(config.machines_dir, 0700));
  CO_TRY(const PlatformVerdict verdict,
         co_await detect_platform(host, {config.host_dir, config.monitor_program, guest},
                                  config.platform));
  guest.tsc_khz = verdict.tsc_khz;
  CO_TRY(VmmSettings vmm, settings_for(verdict.platform, guest));
  co_return std::unique_ptr<MonitorDriver>(
      new MonitorDriver(host, std::move(config), std::move(vmm), guest.encryption_initrd, verdict));
}

MonitorDriver::MonitorDriver(sys::Host& host, MonitorDriverConfig config, VmmSettings vmm,
                             std::string encryption_initrd, const PlatformVerdict& verdict)
    : host_(host),
      config_(std::move(config)),
      vmm_(std::move(vmm)),
      encryption_initrd_(std::move(encryption_initrd)),
      platform_(verdict.platform),
      refused_(to_string(verdict.refused)),
      changed_(host.loop),
      watchers_(host.loop, kMaxVms) {}

MonitorDriver::~MonitorDriver() = default;

DriverLimits MonitorDriver::limits() const {
  const bool firecracker = vmm_.kind == VmmKind::firecracker;
  const int layers = firecracker ? kMaxFirecrackerDisks - 1 : kMaxQemuLayers;
  return {.max_layers = std::min(layers, kGuestLayers), .max_vcpus = kMaxVcpus};
}

std::string MonitorDriver::vm_directory(const MachineId& machine) const {
  return fmt::format("{}/{}/vm", config_.machines_dir, machine.str());
}

std::string MonitorDriver::file(const MachineId& machine, std::string_view name) const {
  return fmt::format("{}/{}", vm_directory(machine), name);
}

std::string MonitorDriver::socket(const MachineId& machine) const {
  return fmt::format("{}/{}.sock", config_.run_dir, machine.str());
}

// ---- starting ----

// While a start is under way its VM is in the table; where the start is cancelled, a watcher finds
// out what came of it.
class MonitorDriver::Start {
 public:
  Start(MonitorDriver& driver, const VmSpec& spec) : driver_(driver), machine_(spec.machine) {
    VmStatus status;
    status.machine = spec.machine;
    status.instance_id = spec.instance_id;
    driver_.vms_.emplace(machine_, Vm{std::move(status)});
  }
  ~Start() {
    if (!failed_) driver_.watchers_.spawn(driver_.watch(machine_));
  }
  Start(const Start&) = delete;
  Start& operator=(const Start&) = delete;
  void fail() {
    failed_ = true;
    driver_.vms_.erase(machine_);
  }

 private:
  MonitorDriver& driver_;
  MachineId machine_;
  bool failed_ = false;
};

async::Task<Result<void>> MonitorDriver::boot(VmSpec spec) {
  if (vms_.contains(spec.machine)) {
    co_return perigee::fail(Code::already_exists, "machine {}: a VM of it is there already",
                            spec.machine.str());
  }
  const MachineId machine = spec.machine;
  Start start(*this, spec);
  std::string secrets = secrets_input(spec.secrets);
  std::vector<std::string> arguments{vm_directory(machine)};
  if (!secrets.empty()) arguments.insert(arguments.begin(), "--secrets-on-stdin");
  Result<void> done = co_await write_spec(std::move(spec));
  if (done) done = co_await run_monitor(std::move(arguments), std::move(secrets));
  if (done) co_return done;
  [[maybe_unused]] const auto removed = co_await remove_records(machine);
  start.fail();
  co_return perigee::fail(
      std::move(done).error().with(fmt::format("boot machine {}", machine.str())));
}

async::Task<Result<void>> MonitorDriver::write_spec(VmSpec spec) {
  const MachineId machine = spec.machine;
  CO_TRY_VOID(co_await host_.disk.make_directories(vm_directory(machine), 0700));
  CO_TRY_VOID(co_await remove_records(machine));
  if (!spec.resume) CO_TRY_VOID(co_await discard(machine));
  spec.cgroup = cgroup(machine);
  const bool needs_secrets = !spec.secrets.empty();
  VmmSettings vmm = vmm_;
  // The modules for it take memory of a guest, three times over while it boots.
  if (std::ranges::any_of(spec.volumes, &VmVolume::encrypted)) vmm.initrd = encryption_initrd_;
  const BootSpec boot{.vm = std::move(spec),
                      .vmm = std::move(vmm),
                      .socket = socket(machine),
                      .needs_secrets = needs_secrets};
  co_return co_await host_.disk.write_file(file(machine, kSpecFile), to_json(boot).dump(), 0600,
                                           sys::Durability::cached);
}

async::Task<Result<void>> MonitorDriver::run_monitor(std::vector<std::string> arguments,
                                                     std::string input) {
  sys::Spawn spawn{.argv = {config_.monitor_program}};
  spawn.argv.insert(spawn.argv.end(), arguments.begin(), arguments.end());
  CO_TRY(const sys::Completed started,
         co_await host_.processes.run(spawn, std::move(input),
                                      host_.loop.deadline_in(kMonitorStartTimeout)));
  if (!started.status.success()) co_return perigee::fail(sys::helper_failed(spawn, started));
  co_return Result<void>();
}

// ---- following ----

async::Task<void> MonitorDriver::watch(MachineId machine) {
  Error why;
  for (int attempt = 0; attempt < kAdoptionAttempts; ++attempt) {
    if (attempt > 0) co_await host_.loop.sleep(kAdoptionPause);
    const MonotonicTime since = host_.loop.now();
    [[maybe_unused]] const auto followed = co_await follow(machine);
    if (vms_.at(machine).status.state == VmState::exited) co_return;
    if (host_.loop.now() - since > kProvenMonitor) attempt = 0;
    auto status = co_await take_up(machine);
    if (status) {
      update(*status);
      if (status->state == VmState::exited) co_return;
      why = Error::make(Code::unavailable, "monitors keep dying");
      continue;
    }
    why = std::move(status).error();
    log_warning("vm", "machine {}: its monitor is gone and could not be replaced: {}",
                machine.str(), why.context);
  }
  co_await give_up(machine, std::move(why));
}

// Reports what the monitor reports. Success: there was one, and it has closed its socket.
async::Task<Result<void>> MonitorDriver::follow(MachineId machine) {
  CO_TRY(const auto client, co_await MonitorClient::connect(host_, socket(machine)));
  CO_TRY_VOID(co_await client->subscribe());
  while (true) {
    auto status = co_await client->next_status();
    if (!status) co_return Result<void>();
    update(*status);
    if (status->state == VmState::exited) co_return Result<void>();
  }
}

// Finds out about a VM that nobody reports on: from its monitor if it has one after all, from its
// exit record, or from a new monitor.
async::Task<Result<VmStatus>> MonitorDriver::take_up(MachineId machine) {
  auto status = co_await ask_status(host_, socket(machine));
  if (status) co_return status;
  auto exited = co_await recorded_exit(machine);
  if (exited) co_return exited;
  const auto adopted = co_await start_adoption(machine);
  status = co_await ask_status(host_, socket(machine));
  if (status) co_return status;
  exited = co_await recorded_exit(machine);
  if (exited) co_return exited;
  if (!adopted) co_return perigee::fail(adopted.error());
  co_return status;
}

async::Task<Result<void>> MonitorDriver::start_adoption(MachineId machine) {
  log_info("vm", "machine {}: starting a monitor to adopt its VM", machine.str());
  co_return co_await run_monitor({"--adopt", vm_directory(machine)}, {});
}

// The exit record, once the VMM is gone, too (a monitor writes it as soon as it knows).
async::Task<Result<VmStatus>> MonitorDriver::recorded_exit(MachineId machine) {
  CO_TRY(const std::string text,
         co_await host_.disk.read_file(file(machine, kExitFile), kMaxRecordFile));
  CO_TRY(const json::Value value, json::parse(text));
  CO_TRY(VmStatus status, status_from(value));
  const auto record = co_await vmm_record(machine);
  if (record && sys::process_start_ticks(record->pid) == record->start_ticks) {
    co_return perigee::fail(Code::conflict, "machine {}: its VMM is still there", machine.str());
  }
  co_return status;
}

async::Task<Result<VmmRecord>> MonitorDriver::vmm_record(MachineId machine) {
  CO_TRY(const std::string text,
         co_await host_.disk.read_file(file(machine, kVmmFile), kMaxRecordFile));
  CO_TRY(const json::Value value, json::parse(text));
  CO_TRY(VmmRecord record, vmm_record_from(value));
  CO_TRY(const std::string host_boot, sys::host_boot_id());
  if (record.host_boot != host_boot) {
    co_return perigee::fail(Code::not_found, "machine {}: its VMM ran before the host's restart",
                            machine.str());
  }
  co_return record;
}

// No monitor can be had: the VM is ended rather than lost from sight.
async::Task<void> MonitorDriver::give_up(MachineId machine, Error why) {
  [[maybe_unused]] const auto killed = co_await kill_recorded(machine);
  sys::remove_tap(tap_name(machine));  // Firecracker's lasts
  VmStatus status = vms_.at(machine).status;
  status.state = VmState::exited;
  status.ended_at = host_.clock.wall();
  status.exit = VmExit{.exit_code = 128 + SIGKILL,
                       .signal = SIGKILL,
                       .vmm_died = true,
                       .reason = "its monitor was lost: " + why.context};
  const auto written = co_await host_.disk.write_file(
      file(machine, kExitFile), to_json(status).dump(), 0600, sys::Durability::synced);
  if (!written) log_warning("vm", "exit record: {}", written.error().context);
  update(std::move(status));
}

void MonitorDriver::update(VmStatus status) {
  const auto it = vms_.find(status.machine);
  if (it == vms_.end() || it->second.status == status) return;
  it->second.status = std::move(status);
  if (std::exchange(it->second.queued, true)) return;
  changes_.push_back(it->first);
  changed_.notify_all();
}

async::Task<VmStatus> MonitorDriver::next_event() {
  while (true) {
    while (changes_.empty()) co_await changed_.wait();
    const MachineId machine = changes_.front();
    changes_.pop_front();
    const auto it = vms_.find(machine);
    if (it == vms_.end()) continue;  // forgotten meanwhile
    it->second.queued = false;
    co_return it->second.status;
  }
}

// ---- adopting ----

async::Task<Result<std::vector<VmStatus>>> MonitorDriver::adopt() {
  std::vector<VmStatus> found;
  CO_TRY(const std::vector<std::string> names, co_await host_.disk.list(config_.machines_dir));
  for (const std::string& name : names) {
    const MachineId machine(name);
    CO_TRY(const bool there, co_await host_.disk.exists(file(machine, kSpecFile)));
    if (!there || vms_.contains(machine)) continue;
    CO_TRY(const std::string text,
           co_await host_.disk.read_file(file(machine, kSpecFile), kMaxRecordFile));
    auto value = json::parse(text);
    auto spec = value ? boot_spec_from(*value) : perigee::fail(value.error());
    VmStatus status;
    status.machine = machine;
    if (spec) status.instance_id = spec->vm.instance_id;
    vms_.emplace(machine, Vm{status});
    auto taken = co_await take_up(machine);
    if (taken) {
      vms_.at(machine).status = *std::move(taken);
    } else {
      co_await give_up(machine, std::move(taken).error());
    }
    found.push_back(vms_.at(machine).status);
    if (found.back().state != VmState::exited) watchers_.spawn(watch(machine));
  }
  remove_empty_cgroups();
  co_return found;
}

// ---- ending ----

async::Task<Result<void>> MonitorDriver::signal(MachineId machine, int number) {
  if (!vms_.contains(machine)) {
    co_return perigee::fail(Code::not_found, "machine {}: no VM runs", machine.str());
  }
  CO_TRY(const auto client, co_await MonitorClient::connect(host_, socket(machine)));
  CO_TRY_AS([[maybe_unused]] const json::Value answer,
            co_await client->request(json::object({{"command", "signal"}, {"number", number}})),
            fmt::format("signal machine {}", machine.str()));
  co_return Result<void>();
}

async::Task<Result<std::unique_ptr<sys::Stream>>> MonitorDriver::exec(MachineId machine) {
  if (!vms_.contains(machine)) {
    co_return perigee::fail(Code::conflict, "machine {}: no VM runs", machine.str());
  }
  const std::string doing = fmt::format("exec in machine {}", machine.str());
  CO_TRY_AS(const auto client, co_await MonitorClient::connect(host_, socket(machine)), doing);
  CO_TRY_AS([[maybe_unused]] const json::Value answer,
            co_await client->request(json::object({{"command", "exec"}})), doing);
  co_return client->release();
}

async::Task<Result<void>> MonitorDriver::suspend(MachineId machine) {
  if (!vms_.contains(machine)) {
    co_return perigee::fail(Code::not_found, "machine {}: no VM runs", machine.str());
  }
  const std::string doing = fmt::format("suspend machine {}", machine.str());
  auto client = co_await MonitorClient::connect(host_, socket(machine));
  if (!client) {  // between two monitors
    co_return perigee::fail(Code::unavailable, "{}: {}", doing, client.error().context);
  }
  CO_TRY_AS([[maybe_unused]] const json::Value answer,
            co_await (*client)->request(json::object({{"command", "suspend"}}), kSuspendPatience),
            doing);
  co_return Result<void>();
}

async::Task<Result<json::Value>> MonitorDriver::inquire(MachineId machine, std::string topic) {
  if (!vms_.contains(machine)) {
    co_return perigee::fail(Code::not_found, "machine {}: no VM runs", machine.str());
  }
  CO_TRY(const auto client, co_await MonitorClient::connect(host_, socket(machine)));
  CO_TRY(const json::Value answer,
         co_await client->request(json::object({{"command", "inquire"}, {"topic", topic}})));
  const json::Value* report = answer.find(topic);
  if (report == nullptr) {
    co_return perigee::fail(Code::internal, "the monitor's answer has no {}", topic);
  }
  co_return *report;
}

async::Task<Result<std::vector<ListeningSocket>>> MonitorDriver::listening(MachineId machine) {
  CO_TRY(const json::Value report, co_await inquire(std::move(machine), "listening"));
  co_return listening_from(report);
}

namespace {

// The connection is the hold: the monitor lets the VM go on when it is closed.
class MonitorHold : public Hold {
 public:
  explicit MonitorHold(std::unique_ptr<MonitorClient> client) : client_(std::move(client)) {}
  async::Task<Result<void>> release() override {
    CO_TRY_AS([[maybe_unused]] const json::Value answer,
              co_await client_->request(json::object({{"command", "release"}})), "release");
    co_return Result<void>();
  }

 private:
  std::unique_ptr<MonitorClient> client_;
};

}  // namespace

async::Task<Result<std::unique_ptr<Hold>>> MonitorDriver::hold(MachineId machine) {
  auto client = co_await MonitorClient::connect(host_, socket(machine));
  const std::string doing = fmt::format("hold machine {}", machine.str());
  if (!client) {  // no VM, or between two monitors
    co_return perigee::fail(Code::unavailable, "{}: {}", doing, client.error().context);
  }
  CO_TRY_AS([[maybe_unused]] const json::Value answer,
            co_await (*client)->request(json::object({{"command", "hold"}})), doing);
  co_return std::unique_ptr<Hold>(std::make_unique<MonitorHold>(*std::move(client)));
}

async::Task<Result<channel::Stats>> MonitorDriver::stats(MachineId machine) {
  CO_TRY(const json::Value report, co_await inquire(std::move(machine), "stats"));
  co_return stats_from(report);
}

async::Task<Result<json::Value>> MonitorDriver::processes(MachineId machine) {
  co_return co_await inquire(std::move(machine), "processes");
}

async::Task<Result<std::optional<VmmCounts>>> MonitorDriver::vmm_counts(MachineId machine) {
  if (accelerator() != "firecracker") co_return std::optional<VmmCounts>();
  CO_TRY(const json::Value report, co_await inquire(std::move(machine), "counters"));
  CO_TRY(const VmmCounts counts, vmm_counts_from(report));
  co_return std::optional(counts);
}

// The record first: without it the others mean nothing.
async::Task<Result<void>> MonitorDriver::discard(MachineId machine) {
  for (const std::string_view name : {kSnapshotFile, kStateFile, kRamFile}) {
    CO_TRY_VOID(co_await host_.disk.remove(file(machine, name)));
  }
  co_return Result<void>();
}

async::Task<Result<void>> MonitorDriver::kill(MachineId machine) {
  if (!vms_.contains(machine)) {
    co_return perigee::fail(Code::not_found, "machine {}: no VM runs", machine.str());
  }
  auto client = co_await MonitorClient::connect(host_, socket(machine));
  if (!client) co_return co_await kill_recorded(machine);  // between two monitors
  const auto answer = co_await (*client)->request(json::object({{"command", "kill"}}));
  if (!answer) co_return co_await kill_recorded(machine);
  co_return Result<void>();
}

async::Task<Result<void>> MonitorDriver::kill_recorded(MachineId machine) {
  CO_TRY(const auto vmm, co_await recorded_vmm(std::move(machine)));
  if (vmm == nullptr) co_return Result<void>();  // gone
  co_return vmm->signal(SIGKILL);
}

async::Task<Result<std::unique_ptr<sys::Process>>> MonitorDriver::recorded_vmm(MachineId machine) {
  CO_TRY(const VmmRecord record, co_await vmm_record(std::move(machine)));
  auto process = host_.processes.adopt(record.pid);
  if (!process) co_return nullptr;
  const auto ticks = sys::process_start_ticks(record.pid);
  if (!ticks || *ticks != record.start_ticks) co_return nullptr;
  co_return *std::move(process);
}

// A monitor that was killed while it started its VM leaves a VMM that nobody keeps, and that holds
// the machine's tap: the one of its record, or, where it had written none yet, what is in the
// machine's control group, which is that VMM alone.
async::Task<void> MonitorDriver::end_vmm(MachineId machine) {
  std::vector<std::unique_ptr<sys::Process>> left;
  if (auto recorded = co_await recorded_vmm(machine); recorded && *recorded != nullptr)
    left.push_back(*std::move(recorded));
  const auto cgroups = sys::Cgroups::detect();
  if (cgroups && !config_.cgroup.empty()) {
    for (const pid_t pid : cgroups->processes(cgroup(machine))) {
      auto process = host_.processes.adopt(pid);
      // Only now is the pid held fast: what it names can no longer change.
      const auto members = cgroups->processes(cgroup(machine));
      if (process && std::ranges::count(members, pid) > 0) left.push_back(*std::move(process));
    }
  }
  for (const auto& vmm : left) {
    log_warning("vm", "machine {}: killing the VMM that its monitor left (process {})",
                machine.str(), vmm->pid());
    if (!vmm->signal(SIGKILL)) continue;
    std::ignore = co_await async::with_deadline(host_.loop, host_.loop.deadline_in(kVmmEnd),
                                                ended(*vmm), "the end of a VMM");
  }
}

async::Task<Result<void>> MonitorDriver::forget(MachineId machine) {
  const auto it = vms_.find(machine);
  if (it != vms_.end() && it->second.status.state != VmState::exited) {
    co_return perigee::fail(Code::conflict, "machine {}: its VM still runs", machine.str());
  }
  CO_TRY_VOID(co_await remove_records(machine));
  vms_.erase(machine);
  co_return Result<void>();
}

// ---- control groups ----

std::string MonitorDriver::cgroup(const MachineId& machine) const {
  return config_.cgroup.empty() ? "" : fmt::format("{}/{}", config_.cgroup, machine.str());
}

// A VMM that has been killed is in its group until the kernel is done with it.
async::Task<void> MonitorDriver::remove_cgroup(MachineId machine) {
  if (config_.cgroup.empty()) co_return;
  const auto cgroups = sys::Cgroups::detect();
  if (!cgroups) co_return;
  const MonotonicTime until = host_.loop.now() + kCgroupTimeout;
  Result<void> removed = cgroups->remove(cgroup(machine));
  while (!removed && removed.error().code == Code::conflict && host_.loop.now() < until) {
    co_await host_.loop.sleep(kCgroupPause);
    removed = cgroups->remove(cgroup(machine));
  }
  if (!removed) log_warning("vm", "machine {}: {}", machine.str(), removed.error().context);
}

// What VMs have left whose monitors were killed while no worker was there.
void MonitorDriver::remove_empty_cgroups() const {
  if (config_.cgroup.empty()) return;
  if (const auto cgroups = sys::Cgroups::detect()) cgroups->remove_empty(config_.cgroup);
}

// The VMM first, if there is one: without a record of it nobody finds it. Then the spec: without it
// the others mean nothing to adopt(). The control group and the socket
// are gone already, unless the monitor was killed.
async::Task<Result<void>> MonitorDriver::remove_records(MachineId machine) {
  co_await end_vmm(machine);
  for (const std::string_view name : {kSpecFile, kVmmFile, kExitFile, kMonitorLog}) {
    CO_TRY_VOID(co_await host_.disk.remove(file(machine, name)));
  }
  CO_TRY_VOID(co_await host_.disk.remove(socket(machine)));
  co_await remove_cgroup(std::move(machine));
  co_return Result<void>();
}

}  // namespace perigee::vm
