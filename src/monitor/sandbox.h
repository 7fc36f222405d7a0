// Sandbox: what a VMM gets of its host, and no more: its files by descriptor, a user and control
// groups of its own, and a root without the host's files (sys/confinement.h). The working directory
// is the VM's.
//
//   TRY_VOID(sandbox.prepare(boot));   →   sandbox.fill(spawn)   →   sandbox.started()
//   sandbox.remove(boot);              once the VMM is gone, also one that an earlier monitor began
//
// Owned by a Vmm. Decision record: docs/decisions/0010-isolation.md.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "sys/cgroup.h"
#include "sys/confinement.h"
#include "sys/fd.h"
#include "sys/process.h"
#include "vm/spec.h"

namespace perigee::monitor {

// Pure: how the VMM of `boot` is confined. `directory`: the VM's, absolute.
sys::Confinement confinement_of(const vm::BootSpec& boot, const std::string& directory,
                                std::vector<std::string> cgroups);

sys::CgroupLimits cgroup_limits(const vm::VmSpec& vm);
// The VM's control groups with these limits; their directories. None where the VM has no group.
Result<std::vector<std::string>> make_cgroups(const vm::VmSpec& vm);

class Sandbox {
 public:
  Result<void> prepare(const vm::BootSpec& boot);
  void fill(sys::Spawn& spawn) const;
  void started() { files_.clear(); }
  static void remove(const vm::BootSpec& boot);

 private:
  Result<void> open_files(const vm::BootSpec& boot);

  std::vector<std::pair<sys::Fd, int>> files_;  // and their numbers in the VMM
  sys::Confinement confinement_;
};

// Gives a file to the VMM's user, so that the VMM may open it for writing.
Result<void> give_to_vmm(int fd, const vm::VmSpec& vm);

}  // namespace perigee::monitor
