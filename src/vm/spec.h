// What the driver tells a monitor (spec.json in the VM's directory) and what a monitor tells back
// (status, over its socket and in exit.json), as JSON. Also the names of the files in a VM's
// directory.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "json/json.h"
#include "vm/driver.h"

namespace perigee::vm {

enum class VmmKind { qemu, firecracker };
enum class Accelerator { kvm, tcg };  // Firecracker knows KVM alone
std::string_view to_string(VmmKind kind);
std::string_view to_string(Accelerator accelerator);

// How the VM is run: the same for all VMs of a host.
struct VmmSettings {
  VmmKind kind = VmmKind::qemu;
  std::string program = "qemu-system-x86_64";  // Firecracker's: absolute, no symbolic link
  std::string jailer = {};                     // what starts Firecracker
  Accelerator accelerator = Accelerator::tcg;
  std::string kernel = {};  // vmlinux
  std::string initrd = {};
  std::uint32_t tsc_khz = 0;  // 0: unknown
  bool operator==(const VmmSettings&) const = default;
};

// One boot, complete.
struct BootSpec {
  VmSpec vm = {};
  VmmSettings vmm = {};
  std::string socket = {};  // where the monitor listens for the driver
  // The VM can't be configured without its secrets, which are not here.
  bool needs_secrets = false;
  bool operator==(const BootSpec&) const = default;
};

json::Value to_json(const BootSpec& boot);
Result<BootSpec> boot_spec_from(const json::Value& value);
// The secrets as a monitor reads them from its standard input: "env:NAME=VALUE" each, then "key:N"
// and a volume's key, by rising N; a zero byte ends each of them.
std::string secrets_input(const VmSecrets& secrets);
Result<VmSecrets> secrets_from(std::string_view input);
inline constexpr std::size_t kMaxSecretsInput = std::size_t{512} * 1024;

json::Value to_json(const VmStatus& status);
Result<VmStatus> status_from(const json::Value& value);

// The VMM's process, so that it is found again and never taken for another.
struct VmmRecord {
  pid_t pid = 0;
  std::uint64_t start_ticks = 0;                      // /proc/PID/stat, field 22
  std::string host_boot = {};                         // the host's boot id
  std::optional<WallTime> started_at = std::nullopt;  // of the app
  bool operator==(const VmmRecord&) const = default;
};
json::Value to_json(const VmmRecord& record);
Result<VmmRecord> vmm_record_from(const json::Value& value);

// What a snapshot depends on: the VM as the VMM was started with it, without what the guest holds
// itself (its process). A snapshot is resumed only by a VMM that is started the same way.
json::Value hardware_of(const BootSpec& boot);

// In the VM's directory.
inline constexpr std::string_view kSpecFile = "spec.json";
inline constexpr std::string_view kVmmFile = "vmm.json";
inline constexpr std::string_view kExitFile = "exit.json";
inline constexpr std::string_view kLockFile = "monitor.lock";
inline constexpr std::string_view kMonitorLog = "monitor.log";
inline constexpr std::string_view kConsoleLog = "console.log";
inline constexpr std::string_view kOldConsoleLog = "console.1.log";
inline constexpr std::string_view kVmmLog = "vmm.log";  // what the VMM itself has to say
inline constexpr std::string_view kOldVmmLog = "vmm.1.log";
inline constexpr std::string_view kVmmPipe = "vmm.pipe";  // through which it says it
inline constexpr std::string_view kChannelSocket = "channel.sock";
inline constexpr std::string_view kConsoleSocket = "console.sock";
inline constexpr std::string_view kQmpSocket = "qmp.sock";
// What the VMM sees of the VM's directory.
inline constexpr std::string_view kVmmFolder = "vmm";
inline constexpr std::string_view kMigrationSocket = "migration.sock";  // in it
// A snapshot: the guest's memory, the state of its devices, and, once both are on disk, the record
// that makes them one. It is removed before the guest goes on: a snapshot is resumed once.
inline constexpr std::string_view kRamFile = "ram";
inline constexpr std::string_view kStateFile = "vmm.state";
inline constexpr std::string_view kSnapshotFile = "snapshot.json";
inline constexpr std::uint64_t kMaxRecordFile = std::uint64_t{4} * 1024 * 1024;

}  // namespace perigee::vm
