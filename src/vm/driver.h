// Driver: how the worker boots, ends and finds microVMs, whichever VMM runs them.
//
// MonitorDriver starts one monitor process per VM (perigee-monitor) and talks to it over its
// socket; the monitor owns the VMM, so a VM outlives the worker. FakeDriver is in memory, for tests
// and simulation.
//
// A VM is one boot of one machine. Its directory holds spec, sockets, console log, output log and
// exit record.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "async/task.h"
#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "sys/network.h"
#include "vm/guest_report.h"
#include "vm/vmm_counters.h"

namespace perigee::vm {

// What runs in the guest, after image config and machine config are joined.
struct GuestProcess {
  std::vector<std::string> argv = {};
  std::vector<std::string> env = {};  // "K=V"
  std::string user = {};              // "", "name", "uid:gid"
  std::string directory = {};
  bool tty = false;  // a terminal as standard input and output
  bool operator==(const GuestProcess&) const = default;
};

struct Nic {
  std::string tap = {};       // exists already
  std::string mac = {};       // "02:…"
  std::string address = {};   // the guest's, "10.201.0.2"
  std::string gateway = {};   // the host's on the tap, "10.201.0.1"
  std::string address6 = {};  // the same for IPv6, "fd12:3456:789a::ac9:2"; empty: none
  std::string gateway6 = {};
  std::uint32_t group = 0;  // of interfaces: tap_group() of the node
  int mtu = 1420;
  std::vector<std::string> nameservers = {};
  bool operator==(const Nic&) const = default;
};

// What the VMM may take of its host beyond the guest's memory. 0: no bound.
struct VmLimits {
  int cpu_percent = 0;   // of one core, the VMM's own threads included
  int cpu_weight = 100;  // against other VMs, where processors are short
  int disk_iops = 0;     // of all its disks
  int disk_mib_s = 0;
  bool operator==(const VmLimits&) const = default;
};

// The users that VMMs run as. The first is nobody's machine's: trial boots use it. The range is one
// that neither distributions nor systemd give out.
inline constexpr uid_t kFirstVmUid = 0x70000000;

// A disk that outlives the VM.
struct VmVolume {
  std::string disk = {};  // path of the image
  std::string path = {};  // where the guest mounts it
  bool encrypted = false;
  bool operator==(const VmVolume&) const = default;
};

// What is confidential of a boot. It goes to the monitor by a pipe, and is never written down.
struct VmSecrets {
  std::vector<std::string> environment = {};  // "K=V" each, for the guest's process
  std::map<int, std::string> volume_keys =
      {};  // by their place in VmSpec::volumes; of
           // channel::kVolumeKeyBytes. None: it is not encrypted
  bool empty() const { return environment.empty() && volume_keys.empty(); }
  bool operator==(const VmSecrets&) const = default;
};

struct VmSpec {
  MachineId machine = {};
  std::string instance_id = {};
  int cpus = 1;
  int memory_mib = 256;
  std::vector<std::string> layers = {};  // read-only EROFS images, lowest first; at least one
  std::string upper = {};                // writable ext4 image, new at each boot
  std::vector<VmVolume> volumes = {};  // ext4 images; what the guest flushes is on the host's disk
  Nic nic = {};
  std::string hostname = {};
  GuestProcess process = {};
  VmSecrets secrets = {};
  uid_t uid = kFirstVmUid;      // the VMM's user and group, which no other living VM has
  std::string cgroup = {};      // "parent/name" of the VMM's control groups; empty: none of its own
  std::uint64_t log_bytes = 0;  // kept of the app's output; 0: the default
  VmLimits limits = {};
  // From the snapshot in its directory (see Driver::suspend), which is used up by it: `conflict` or
  // `not_found` when there is none that fits.
  bool resume = false;
  bool operator==(const VmSpec&) const = default;
};

enum class VmState { booting, running, exited };

struct VmExit {
  int exit_code = 0;  // of the app; 128+signal when signalled
  int signal = 0;
  bool oom_killed = false;
  bool vmm_died = false;   // the VMM ended without the guest's word
  bool suspended = false;  // saved: boot it with `resume`
  // A sentence: "exit code 1", "the VMM died (signal 9)", "no such command: /app".
  std::string reason = {};
  bool operator==(const VmExit&) const = default;
};

struct VmStatus {
  MachineId machine = {};
  std::string instance_id = {};
  VmState state = VmState::booting;
  std::optional<WallTime> started_at = std::nullopt;  // when the app's process ran
  std::optional<WallTime> ended_at = std::nullopt;
  std::optional<VmExit> exit = std::nullopt;  // in state exited
  pid_t vmm_pid = 0;
  pid_t monitor_pid = 0;
  bool operator==(const VmStatus&) const = default;
};

inline constexpr std::size_t kMaxVmVolumes = 4;

struct DriverLimits {
  int max_layers = 4;
  int max_vcpus = 32;
};

// A VM that stands still, so that its disks can be copied: it goes on when this is gone, or with
// the process that has it, or after a bounded time.
class Hold {
 public:
  virtual ~Hold() = default;
  // Lets it go on. An error: it may have gone on before.
  virtual async::Task<Result<void>> release() = 0;
};

class Driver {
 public:
  virtual ~Driver() = default;
  // "kvm", "tcg", "firecracker", "fake".
  virtual std::string accelerator() const = 0;
  virtual DriverLimits limits() const = 0;
  // Takes up what runs already (after a restart of the worker). Once, before anything else.
  virtual async::Task<Result<std::vector<VmStatus>>> adopt() = 0;
  // Returns when the VMM has been started under its monitor; `booting` → `running` arrives as an
  // event. `already_exists` while a VM of that machine is there, an exited one that was not
  // forgotten included.
  virtual async::Task<Result<void>> boot(VmSpec spec) = 0;
  virtual async::Task<Result<void>> signal(MachineId machine, int number) = 0;  // to the app
  // A process beside the app: the stream is an exec stream (docs/formats/exec-stream.md), which the
  // caller begins with a start. `conflict` when the app does not run. Closing it kills the process.
  virtual async::Task<Result<std::unique_ptr<sys::Stream>>> exec(MachineId machine) = 0;
  virtual async::Task<Result<void>> kill(
      MachineId machine) = 0;  // the VMM, at once; exit follows as event
  virtual async::Task<Result<void>> forget(MachineId machine) = 0;  // an exited VM's record
  // Saves the VM to its directory (synced) and ends it; an event with an exit that is `suspended`
  // follows. After an error the VM runs on; `unavailable`: it is being suspended already, or its
  // monitor is just being replaced.
  virtual async::Task<Result<void>> suspend(MachineId machine) = 0;
  // Removes what suspend() has saved; without a snapshot nothing happens.
  virtual async::Task<Result<void>> discard(MachineId machine) = 0;
  // What the guest says that it listens on. `unavailable`: it does not answer now.
  virtual async::Task<Result<std::vector<ListeningSocket>>> listening(MachineId machine) = 0;
  // What the guest has flushed is in its disks' files. `unavailable` as above.
  virtual async::Task<Result<std::unique_ptr<Hold>>> hold(MachineId machine) = 0;
  // What the guest's kernel counts; likewise.
  virtual async::Task<Result<channel::Stats>> stats(MachineId machine) = 0;
  // What runs in the guest (guest_report.h); likewise.
  virtual async::Task<Result<json::Value>> processes(MachineId machine) = 0;
  // What the VMM itself counts; nothing for one that counts nothing.
  virtual async::Task<Result<std::optional<VmmCounts>>> vmm_counts(MachineId machine) = 0;
  // The next change of any VM's status. One caller at a time.
  virtual async::Task<VmStatus> next_event() = 0;
};

// The interface of a machine's VM: "pg-" and the first twelve digits of its id; and its address on
// the wire, locally administered, made from the id so that it stays the same for the machine's
// life.
std::string tap_name(const MachineId& machine);
std::string mac_address(const MachineId& machine);
inline constexpr std::string_view kTapPrefix = "pg-";

}  // namespace perigee::vm
