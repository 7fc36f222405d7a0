// The jail of a Firecracker: the root directory that its jailer shuts it into, and the jailer's
// command line. Pure functions of a BootSpec; monitor/jail_files.h carries the plan out.
//
// The jail lies in the VM's directory (the monitor's working directory), so that it is found again
// by whoever comes next and goes away with it. Its id is the machine's: a jailer refuses a root
// that was used before, so the old one is removed before each boot.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sys/cgroup.h"
#include "vm/spec.h"

namespace perigee::vm {

// What Firecracker sees.
inline constexpr std::string_view kJailKernel = "/kernel";
inline constexpr std::string_view kJailInitrd = "/initrd";
inline constexpr std::string_view kJailConsole = "/console";  // a named pipe
inline constexpr std::string_view kJailMetrics = "/metrics";  // likewise
inline constexpr std::string_view kJailVsock = "/run/vsock.sock";
// A snapshot is loaded from one place and saved to another: the memory that a VM was resumed from
// stays mapped, and must not change while it runs.
inline constexpr std::string_view kJailLoadedRam = "/load/ram";
inline constexpr std::string_view kJailLoadedState = "/load/state";
inline constexpr std::string_view kJailSavedRam = "/save/ram";
inline constexpr std::string_view kJailSavedState = "/save/state";
std::string jail_disk(std::size_t index);               // "/disk0"
std::string jail_api_socket(const MachineId& machine);  // in a command line it names the VM

// Of the VMM; no other VM's.
struct JailUser {
  uid_t uid = 0;
  gid_t gid = 0;
  bool operator==(const JailUser&) const = default;
};

// Its control groups, PARENT/ID, of one version: made with all limits before; the jailer sets what
// it is told once more, and joins them.
struct JailCgroups {
  int version = 2;
  std::string parent = {};
  std::vector<sys::CgroupSetting> settings = {};
  bool operator==(const JailCgroups&) const = default;
};
// Of the hierarchies that a host has; nullopt: `group` ("parent/name") is empty, or there is none.
std::optional<JailCgroups> jail_cgroups(std::string_view group,
                                        const std::vector<sys::CgroupHierarchy>& hierarchies,
                                        const sys::CgroupLimits& limits);

struct JailFile {
  std::string source;  // on the host; relative: in the VM's directory
  std::string path;    // in the jail
  // shared: read by many VMs, left as it is. owned: this VM's, given to the VMM's user.
  enum class Use { shared, owned } use = Use::shared;
  bool operator==(const JailFile&) const = default;
};

struct JailPlan {
  std::string base;                  // the jailer's --chroot-base-dir
  std::string root;                  // what becomes / there
  std::vector<std::string> folders;  // in the jail, the VMM's user's
  std::vector<std::string> pipes;
  std::vector<JailFile> files;
  bool operator==(const JailPlan&) const = default;
};

JailPlan jail_plan(const BootSpec& boot);
std::vector<std::string> jailer_command(const BootSpec& boot, JailUser user,
                                        const std::optional<JailCgroups>& cgroups);
// Where on the host `path` of the jail is.
std::string in_jail(const JailPlan& plan, std::string_view path);

}  // namespace perigee::vm
