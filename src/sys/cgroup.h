// Cgroups: control groups of versions 1 and 2 behind one small interface: what a group of processes
// may use of processor, memory and process table. Which controllers there are, and where, is found
// out once; a host may have some in version 1 and others in version 2.
//
//   TRY(const Cgroups cgroups, Cgroups::detect());
//   TRY(const auto directories, cgroups.create("perigee-1f00/148e…", {.cpu_percent = 50}));
//   … a process writes itself into <directory>/cgroup.procs (Confinement does) …
//   cgroups.remove("perigee-1f00/148e…");
//
// Calls are short file operations on cgroupfs. Any thread. A group lives until it is removed.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace perigee::sys {

enum class Controller { cpu, memory, pids };
std::string_view to_string(Controller controller);

struct CgroupLimits {
  int cpu_percent = 0;             // of one core; 0: no bound
  int cpu_weight = 100;            // among others, where processors are short: 1 to 10000
  std::uint64_t memory_bytes = 0;  // 0: no bound. Past it the kernel ends the group's process
  int max_processes = 0;           // threads count; 0: no bound
  bool operator==(const CgroupLimits&) const = default;
};

// A mounted hierarchy and what it has of our controllers.
struct CgroupHierarchy {
  enum class Version { v1, v2 } version = Version::v2;
  std::string mount;  // "/sys/fs/cgroup/cpu"
  std::vector<Controller> controllers = {};
  bool operator==(const CgroupHierarchy&) const = default;
};

// A value and the file of a group that takes it.
struct CgroupSetting {
  std::string file;
  std::string value;
  bool operator==(const CgroupSetting&) const = default;
};
// Pure: what a group in `hierarchy` is set to.
std::vector<CgroupSetting> cgroup_settings(const CgroupHierarchy& hierarchy,
                                           const CgroupLimits& limits);

// A file that a kernel without swap accounting lacks.
bool may_be_missing(std::string_view file);

class Cgroups {
 public:
  // From a file like /proc/self/mounts. A host without any of the controllers is not an error: see
  // missing().
  static Result<Cgroups> detect(const std::string& mounts = "/proc/self/mounts");

  const std::vector<CgroupHierarchy>& hierarchies() const { return hierarchies_; }
  std::vector<Controller> missing() const;

  // `group` is "parent/name". Makes what is missing of it, sets the limits, and returns the group's
  // directory in each hierarchy.
  Result<std::vector<std::string>> create(std::string_view group, const CgroupLimits& limits) const;
  // The pids of those that are in the group, in any hierarchy. Absent: none.
  std::vector<pid_t> processes(std::string_view group) const;
  // Empty groups only: `conflict` where processes are in it. Absent is fine.
  Result<void> remove(std::string_view group) const;
  // The children of `parent` that hold no process, and `parent` itself where none is left.
  void remove_empty(std::string_view parent) const;

 private:
  explicit Cgroups(std::vector<CgroupHierarchy> hierarchies)
      : hierarchies_(std::move(hierarchies)) {}
  std::vector<CgroupHierarchy> hierarchies_;
};

}  // namespace perigee::sys
