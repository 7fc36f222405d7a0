#include "vm/spec.h"

#include <limits>

#include "channel/limits.h"

namespace perigee::vm {
namespace {

using json::Value;

Value to_json(const Nic& nic) {
  return json::object({{"tap", nic.tap},
                       {"mac", nic.mac},
                       {"address", nic.address},
                       {"gateway", nic.gateway},
                       {"address6", nic.address6},
                       {"gateway6", nic.gateway6},
                       {"group", static_cast<std::int64_t>(nic.group)},
                       {"mtu", nic.mtu},
                       {"nameservers", json::strings(nic.nameservers)}});
}

Value to_json(const GuestProcess& process) {
  return json::object({{"argv", json::strings(process.argv)},
                       {"env", json::strings(process.env)},
                       {"user", process.user},
                       {"directory", process.directory},
                       {"tty", process.tty}});
}

Value to_json(const VmLimits& limits) {
  return json::object({{"cpu_percent", limits.cpu_percent},
                       {"cpu_weight", limits.cpu_weight},
                       {"disk_iops", limits.disk_iops},
                       {"disk_mib_s", limits.disk_mib_s}});
}

Value to_json(const std::vector<VmVolume>& volumes) {
  Value list = json::array();
  for (const VmVolume& volume : volumes) {
    Value item = json::object({{"disk", volume.disk}, {"path", volume.path}});
    if (volume.encrypted) item.set("encrypted", true);
    list.push(std::move(item));
  }
  return list;
}

Value to_json(const VmmSettings& vmm) {
  return json::object({{"kind", to_string(vmm.kind)},
                       {"program", vmm.program},
                       {"jailer", vmm.jailer},
                       {"accelerator", to_string(vmm.accelerator)},
                       {"kernel", vmm.kernel},
                       {"initrd", vmm.initrd},
                       {"tsc_khz", static_cast<std::int64_t>(vmm.tsc_khz)}});
}

const Value& member(const Value& value, std::string_view key) {
  static const Value kNull;
  const Value* found = value.find(key);
  return found == nullptr ? kNull : *found;
}

Result<int> small_int(const Value& value, std::string_view key, int fallback) {
  TRY(const std::int64_t number, value.optional_int(key, fallback));
  if (number < std::numeric_limits<int>::min() || number > std::numeric_limits<int>::max()) {
    return fail(Code::invalid_argument, "{}: {} is out of range", key, number);
  }
  return static_cast<int>(number);
}

Result<Nic> nic_from(const Value& value) {
  Nic nic;
  TRY(nic.tap, value.optional_string("tap"));
  TRY(nic.mac, value.optional_string("mac"));
  TRY(nic.address, value.optional_string("address"));
  TRY(nic.gateway, value.optional_string("gateway"));
  TRY(nic.address6, value.optional_string("address6"));
  TRY(nic.gateway6, value.optional_string("gateway6"));
  TRY(const std::int64_t group, value.optional_int("group", 0));
  nic.group = static_cast<std::uint32_t>(group);
  TRY(nic.mtu, small_int(value, "mtu", nic.mtu));
  TRY(nic.nameservers, value.optional_strings("nameservers"));
  return nic;
}

Result<GuestProcess> process_from(const Value& value) {
  GuestProcess process;
  TRY(process.argv, value.optional_strings("argv"));
  TRY(process.env, value.optional_strings("env"));
  TRY(process.user, value.optional_string("user"));
  TRY(process.directory, value.optional_string("directory"));
  TRY(process.tty, value.optional_bool("tty", false));
  return process;
}

Result<VmLimits> limits_from(const Value& value) {
  VmLimits limits;
  TRY(limits.cpu_percent, small_int(value, "cpu_percent", limits.cpu_percent));
  TRY(limits.cpu_weight, small_int(value, "cpu_weight", limits.cpu_weight));
  TRY(limits.disk_iops, small_int(value, "disk_iops", 0));
  TRY(limits.disk_mib_s, small_int(value, "disk_mib_s", 0));
  return limits;
}

Result<VmmSettings> vmm_from(const Value& value) {
  VmmSettings vmm;
  TRY(const std::string kind, value.optional_string("kind", "qemu"));
  if (kind != "qemu" && kind != "firecracker") {
    return fail(Code::invalid_argument, "kind: '{}' is neither qemu nor firecracker", kind);
  }
  vmm.kind = kind == "qemu" ? VmmKind::qemu : VmmKind::firecracker;
  TRY(vmm.jailer, value.optional_string("jailer"));
  TRY(vmm.program, value.optional_string("program", vmm.program));
  TRY(const std::string accelerator, value.require_string("accelerator"));
  if (accelerator != "kvm" && accelerator != "tcg") {
    return fail(Code::invalid_argument, "accelerator: '{}' is neither kvm nor tcg", accelerator);
  }
  vmm.accelerator = accelerator == "kvm" ? Accelerator::kvm : Accelerator::tcg;
  TRY(vmm.kernel, value.require_string("kernel"));
  TRY(vmm.initrd, value.require_string("initrd"));
  TRY(const int khz, small_int(value, "tsc_khz", 0));
  vmm.tsc_khz = static_cast<std::uint32_t>(khz);
  return vmm;
}

Result<std::optional<WallTime>> time_from(const Value& value, std::string_view key) {
  TRY(const std::int64_t ns, value.optional_int(key, 0));
  if (ns == 0) return std::optional<WallTime>();
  return std::optional<WallTime>(WallTime{ns});
}

void set_time(Value& value, std::string_view key, const std::optional<WallTime>& time) {
  if (time) value.set(key, time->ns);
}

Value to_json(const VmExit& exit) {
  return json::object({{"exit_code", exit.exit_code},
                       {"signal", exit.signal},
                       {"oom_killed", exit.oom_killed},
                       {"vmm_died", exit.vmm_died},
                       {"suspended", exit.suspended},
                       {"reason", exit.reason}});
}

Result<VmExit> exit_from(const Value& value) {
  VmExit exit;
  TRY(exit.exit_code, small_int(value, "exit_code", 0));
  TRY(exit.signal, small_int(value, "signal", 0));
  TRY(exit.oom_killed, value.optional_bool("oom_killed", false));
  TRY(exit.vmm_died, value.optional_bool("vmm_died", false));
  TRY(exit.suspended, value.optional_bool("suspended", false));
  TRY(exit.reason, value.optional_string("reason"));
  return exit;
}

std::string_view to_string(VmState state) {
  switch (state) {
    case VmState::booting:
      return "booting";
    case VmState::running:
      return "running";
    case VmState::exited:
      return "exited";
  }
  return "unknown";
}

Result<VmState> state_from(std::string_view text) {
  for (const VmState state : {VmState::booting, VmState::running, VmState::exited}) {
    if (to_string(state) == text) return state;
  }
  return fail(Code::invalid_argument, "state: '{}' is not a VM's state", text);
}

Result<std::vector<VmVolume>> volumes_from(const Value& value) {
  std::vector<VmVolume> volumes;
  const Value* list = value.find("volumes");
  if (list == nullptr) return volumes;
  for (const Value& item : list->items()) {
    VmVolume volume;
    TRY(volume.disk, item.require_string("disk"));
    TRY(volume.path, item.require_string("path"));
    TRY(volume.encrypted, item.optional_bool("encrypted", false));
    volumes.push_back(std::move(volume));
  }
  if (volumes.size() > kMaxVmVolumes) {
    return fail(Code::invalid_argument, "volumes: at most {}", kMaxVmVolumes);
  }
  return volumes;
}

Result<VmSpec> vm_from(const Value& value) {
  VmSpec vm;
  TRY(std::string machine, value.require_string("machine"));
  vm.machine = MachineId(std::move(machine));
  TRY(vm.instance_id, value.optional_string("instance_id"));
  TRY(vm.cpus, small_int(value, "cpus", vm.cpus));
  TRY(vm.memory_mib, small_int(value, "memory_mib", vm.memory_mib));
  TRY(vm.layers, value.optional_strings("layers"));
  TRY(vm.upper, value.optional_string("upper"));
  TRY(vm.volumes, volumes_from(value));
  TRY_AS(vm.nic, nic_from(member(value, "nic")), "nic");
  TRY(vm.hostname, value.optional_string("hostname"));
  TRY_AS(vm.process, process_from(member(value, "process")), "process");
  TRY(const std::int64_t log_bytes, value.optional_int("log_bytes", 0));
  if (log_bytes < 0) return fail(Code::invalid_argument, "log_bytes: {} is negative", log_bytes);
  vm.log_bytes = static_cast<std::uint64_t>(log_bytes);
  TRY(const int uid, small_int(value, "uid", static_cast<int>(kFirstVmUid)));
  vm.uid = static_cast<uid_t>(uid);
  TRY(vm.cgroup, value.optional_string("cgroup"));
  TRY_AS(vm.limits, limits_from(member(value, "limits")), "limits");
  TRY(vm.resume, value.optional_bool("resume", false));
  return vm;
}

constexpr std::string_view kEnvironmentMark = "env:";
constexpr std::string_view kKeyMark = "key:";
constexpr std::string_view kDigits = "0123";
static_assert(kDigits.size() == kMaxVmVolumes);

Result<void> take_variable(VmSecrets& secrets, std::string_view& input) {
  const std::size_t end = input.find('\0');
  if (end == input.npos) return fail(Code::data_loss, "secrets: the last one is cut short");
  secrets.environment.emplace_back(input.substr(0, end).substr(kEnvironmentMark.size()));
  input.remove_prefix(end + 1);
  return {};
}

Result<void> take_volume_key(VmSecrets& secrets, std::string_view& input) {
  const std::string_view text = input.substr(kKeyMark.size());
  constexpr std::size_t kEnd = 1 + channel::kVolumeKeyBytes;
  const std::size_t index = text.empty() ? kDigits.npos : kDigits.find(text.front());
  if (index == kDigits.npos || text.size() <= kEnd || text[kEnd] != '\0') {
    return fail(Code::data_loss, "secrets: a volume's key is malformed");
  }
  const int place = static_cast<int>(index);
  if (!secrets.volume_keys.empty() && secrets.volume_keys.rbegin()->first >= place) {
    return fail(Code::data_loss, "secrets: the volumes' keys are out of order");
  }
  secrets.volume_keys.emplace(place, text.substr(1, channel::kVolumeKeyBytes));
  input.remove_prefix(kKeyMark.size() + kEnd + 1);
  return {};
}

}  // namespace

std::string_view to_string(VmmKind kind) {
  return kind == VmmKind::qemu ? "qemu" : "firecracker";
}

std::string_view to_string(Accelerator accelerator) {
  return accelerator == Accelerator::kvm ? "kvm" : "tcg";
}

json::Value to_json(const BootSpec& boot) {
  const VmSpec& vm = boot.vm;
  return json::object({{"machine", vm.machine.str()},
                       {"instance_id", vm.instance_id},
                       {"cpus", vm.cpus},
                       {"memory_mib", vm.memory_mib},
                       {"layers", json::strings(vm.layers)},
                       {"upper", vm.upper},
                       {"volumes", to_json(vm.volumes)},
                       {"nic", to_json(vm.nic)},
                       {"hostname", vm.hostname},
                       {"process", to_json(vm.process)},
                       {"log_bytes", vm.log_bytes},
                       {"uid", static_cast<std::int64_t>(vm.uid)},
                       {"cgroup", vm.cgroup},
                       {"limits", to_json(vm.limits)},
                       {"resume", vm.resume},
                       {"vmm", to_json(boot.vmm)},
                       {"socket", boot.socket},
                       {"needs_secrets", boot.needs_secrets}});
}

json::Value hardware_of(const BootSpec& boot) {
  const VmSpec& vm = boot.vm;
  VmmSettings vmm = boot.vmm;
  vmm.tsc_khz = 0;  // only the kernel's command line has it, which is read at boot
  return json::object({{"instance_id", vm.instance_id},
                       {"cpus", vm.cpus},
                       {"memory_mib", vm.memory_mib},
                       {"layers", json::strings(vm.layers)},
                       {"upper", vm.upper},
                       {"volumes", to_json(vm.volumes)},
                       {"nic", to_json(vm.nic)},
                       {"vmm", to_json(vmm)}});
}

Result<BootSpec> boot_spec_from(const json::Value& value) {
  BootSpec boot;
  TRY(boot.vm, vm_from(value));
  TRY_AS(boot.vmm, vmm_from(member(value, "vmm")), "vmm");
  TRY(boot.socket, value.optional_string("socket"));
  TRY(boot.needs_secrets, value.optional_bool("needs_secrets", false));
  return boot;
}

std::string secrets_input(const VmSecrets& secrets) {
  std::string out;
  for (const std::string& assignment : secrets.environment) {
    out.append(kEnvironmentMark).append(assignment).push_back('\0');
  }
  for (const auto& [index, key] : secrets.volume_keys) {
    out.append(kKeyMark).append(1, kDigits[static_cast<std::size_t>(index)]);
    out.append(key).push_back('\0');
  }
  return out;
}

Result<VmSecrets> secrets_from(std::string_view input) {
  VmSecrets out;
  while (!input.empty()) {
    if (input.starts_with(kKeyMark)) {
      TRY_VOID(take_volume_key(out, input));
    } else if (input.starts_with(kEnvironmentMark) && out.volume_keys.empty()) {
      TRY_VOID(take_variable(out, input));
    } else {
      return fail(Code::data_loss, "secrets: one is neither a variable nor a volume's key");
    }
  }
  return out;
}

json::Value to_json(const VmStatus& status) {
  Value value = json::object({{"machine", status.machine.str()},
                              {"instance_id", status.instance_id},
                              {"state", to_string(status.state)},
                              {"vmm_pid", status.vmm_pid},
                              {"monitor_pid", status.monitor_pid}});
  set_time(value, "started_at_ns", status.started_at);
  set_time(value, "ended_at_ns", status.ended_at);
  if (status.exit) value.set("exit", to_json(*status.exit));
  return value;
}

Result<VmStatus> status_from(const json::Value& value) {
  VmStatus status;
  TRY(std::string machine, value.require_string("machine"));
  status.machine = MachineId(std::move(machine));
  TRY(status.instance_id, value.optional_string("instance_id"));
  TRY(const std::string state, value.require_string("state"));
  TRY(status.state, state_from(state));
  TRY(status.vmm_pid, small_int(value, "vmm_pid", 0));
  TRY(status.monitor_pid, small_int(value, "monitor_pid", 0));
  TRY(status.started_at, time_from(value, "started_at_ns"));
  TRY(status.ended_at, time_from(value, "ended_at_ns"));
  if (const Value* exit = value.find("exit")) {
    TRY_AS(VmExit parsed, exit_from(*exit), "exit");
    status.exit = std::move(parsed);
  }
  return status;
}

json::Value to_json(const VmmRecord& record) {
  Value value = json::object(
      {{"pid", record.pid}, {"start_ticks", record.start_ticks}, {"host_boot", record.host_boot}});
  set_time(value, "started_at_ns", record.started_at);
  return value;
}

Result<VmmRecord> vmm_record_from(const json::Value& value) {
  VmmRecord record;
  TRY(record.pid, small_int(value, "pid", 0));
  TRY(const std::int64_t ticks, value.require_int("start_ticks"));
  record.start_ticks = static_cast<std::uint64_t>(ticks);
  TRY(record.host_boot, value.require_string("host_boot"));
  TRY(record.started_at, time_from(value, "started_at_ns"));
  return record;
}

}  // namespace perigee::vm
