#include "vm/firecracker.h"

#include <array>
#include <utility>

#include "base/text.h"
#include "vm/jail.h"
#include "vm/qemu.h"

namespace perigee::vm {
namespace {

constexpr FirecrackerVersion kHasMtu{1, 16};
constexpr FirecrackerVersion kHasSerialLimit{1, 16};
constexpr FirecrackerVersion kHasClockRealtime{1, 16};
constexpr int kGuestCid = 3;  // the lowest; VMs may share it, each vsock has its own socket
constexpr int kMaxVersionPart = 1000;
constexpr std::int64_t kMib = 1024 * 1024;

// Bytes of the console that pass at once, and per refill; more is dropped.
constexpr std::int64_t kConsoleBurst = std::int64_t{64} * 1024;
constexpr std::int64_t kConsoleRefillMs = 1000;

ApiCall put(std::string path, json::Value body) {
  return {"PUT", std::move(path), std::move(body)};
}

ApiCall patch_state(std::string_view state) {
  return {"PATCH", "/vm", json::object({{"state", state}})};
}

// What does not belong to the guest's hardware, and is lost with the process.
void add_reporting(std::vector<ApiCall>& calls, FirecrackerVersion version) {
  calls.push_back(put("/logger", json::object({{"level", "Warning"}})));
  calls.push_back(put("/metrics", json::object({{"metrics_path", kJailMetrics}})));
  json::Value serial = json::object({{"serial_out_path", kJailConsole}});
  if (version >= kHasSerialLimit) {
    serial.set("rate_limiter",
               json::object({{"size", kConsoleBurst}, {"refill_time", kConsoleRefillMs}}));
  }
  calls.push_back(put("/serial", std::move(serial)));
}

// A second's worth passes at once, and is there again a second later.
json::Value per_second(std::int64_t size) {
  return json::object({{"size", size}, {"refill_time", 1000}});
}

// Null where nothing is limited. Each disk has buckets of its own: Firecracker shares none.
json::Value disk_limiter(const VmLimits& limits) {
  if (limits.disk_iops <= 0 && limits.disk_mib_s <= 0) return {};
  json::Value limiter = json::object({});
  if (limits.disk_mib_s > 0) limiter.set("bandwidth", per_second(limits.disk_mib_s * kMib));
  if (limits.disk_iops > 0) limiter.set("ops", per_second(limits.disk_iops));
  return limiter;
}

// The upper disk is made anew at each start, so nothing on it is worth a flush (cache_type Unsafe);
// what the guest flushes to a volume is on the host's disk.
void add_disks(std::vector<ApiCall>& calls, const VmSpec& vm) {
  const json::Value limiter = disk_limiter(vm.limits);
  std::size_t index = 0;
  for (const Disk& disk : disks_of(vm)) {
    const std::string id = fmt::format("disk{}", index);
    const bool durable = disk.access == DiskAccess::durable;
    json::Value drive = json::object({{"drive_id", id},
                                      {"path_on_host", jail_disk(index++)},
                                      {"is_root_device", false},
                                      {"is_read_only", disk.access == DiskAccess::read_only},
                                      {"cache_type", durable ? "Writeback" : "Unsafe"}});
    if (!limiter.is_null()) drive.set("rate_limiter", limiter);
    calls.push_back(put("/drives/" + id, std::move(drive)));
  }
}

void add_nic(std::vector<ApiCall>& calls, const Nic& nic, FirecrackerVersion version) {
  if (nic.tap.empty()) return;
  json::Value body =
      json::object({{"iface_id", "eth0"}, {"host_dev_name", nic.tap}, {"guest_mac", nic.mac}});
  if (version >= kHasMtu) body.set("mtu", nic.mtu);
  calls.push_back(put("/network-interfaces/eth0", std::move(body)));
}

}  // namespace

Result<FirecrackerVersion> parse_firecracker_version(std::string_view words) {
  const std::vector<std::string_view> parts = split(words, '.');
  const auto number = [&](std::size_t index) {
    return index < parts.size() ? parse_uint(parts[index], kMaxVersionPart) : std::nullopt;
  };
  const auto major = number(0);
  const auto minor = number(1);
  if (!major || !minor) {
    return fail(Code::invalid_argument, "'{}' is not a version of Firecracker", words);
  }
  const FirecrackerVersion version{static_cast<int>(*major), static_cast<int>(*minor)};
  if (version < kOldestFirecracker) {
    return fail(Code::unsupported, "Firecracker {} is too old: install {}.{} or later", words,
                kOldestFirecracker.major, kOldestFirecracker.minor);
  }
  return version;
}

std::vector<ApiCall> boot_calls(const BootSpec& boot, FirecrackerVersion version) {
  std::vector<ApiCall> calls;
  add_reporting(calls, version);
  calls.push_back(put("/machine-config", json::object({{"vcpu_count", boot.vm.cpus},
                                                       {"mem_size_mib", boot.vm.memory_mib}})));
  calls.push_back(put("/boot-source", json::object({{"kernel_image_path", kJailKernel},
                                                    {"initrd_path", kJailInitrd},
                                                    {"boot_args", firecracker_command_line()}})));
  add_disks(calls, boot.vm);
  add_nic(calls, boot.vm.nic, version);
  calls.push_back(
      put("/vsock", json::object({{"guest_cid", kGuestCid}, {"uds_path", kJailVsock}})));
  calls.push_back(put("/balloon", json::object({{"amount_mib", 0}, {"deflate_on_oom", true}})));
  calls.push_back(put("/entropy", json::object({})));
  calls.push_back(put("/actions", json::object({{"action_type", "InstanceStart"}})));
  return calls;
}

// Not resumed by the same call: the snapshot's record goes between load and the guest's first
// instruction.
std::vector<ApiCall> load_calls(FirecrackerVersion version) {
  std::vector<ApiCall> calls;
  add_reporting(calls, version);
  json::Value load = json::object(
      {{"snapshot_path", kJailLoadedState},
       {"mem_backend", json::object({{"backend_type", "File"}, {"backend_path", kJailLoadedRam}})},
       {"resume_vm", false}});
  if (version >= kHasClockRealtime) load.set("clock_realtime", true);
  calls.push_back(put("/snapshot/load", std::move(load)));
  return calls;
}

ApiCall pause_call() {
  return patch_state("Paused");
}

ApiCall save_call() {
  return put("/snapshot/create", json::object({{"snapshot_type", "Full"},
                                               {"snapshot_path", kJailSavedState},
                                               {"mem_file_path", kJailSavedRam}}));
}

ApiCall resume_call() {
  return patch_state("Resumed");
}

// reboot=k: Firecracker ends when the guest resets it by the keyboard controller, which needs no
// mouse and no multiplexer probed for. Modules are needed: no `nomodule`, which Firecracker would
// say by itself.
std::string firecracker_command_line() {
  return "console=ttyS0 quiet reboot=k panic=1 i8042.noaux i8042.nomux i8042.dumbkbd "
         "cryptomgr.notests init_on_alloc=0 perigee.carrier=vsock";
}

std::string firecracker_exit_words(int exit_code) {
  struct Meaning {
    int code;
    std::string_view words;
  };
  constexpr std::array<Meaning, 11> kMeanings{
      {{1, "it failed, see vmm.log"},
       {2, "an unexpected error, see vmm.log"},
       {148, "a forbidden system call (seccomp)"},
       {149, "bus error: memory or disk of the host ran out"},
       {150, "it crashed (segmentation fault)"},
       {151, "a file grew past its size limit"},
       {152, "its log level was refused"},
       {153, "its arguments were refused"},
       {154, "it used up its processor time limit"},
       {156, "it was hung up on"},
       {157, "it crashed (illegal instruction)"}}};
  for (const Meaning& meaning : kMeanings) {
    if (meaning.code == exit_code) return fmt::format("exit code {}: {}", exit_code, meaning.words);
  }
  return fmt::format("exit code {}", exit_code);
}

}  // namespace perigee::vm
