// What `perigee lab down` does: ends everything that belongs to a lab, whatever was killed before.
// It trusts no record: names follow from the folder (topology.h), processes bear a mark.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "async/task.h"
#include "base/result.h"
#include "sys/host.h"

namespace perigee::lab {

// What of a lab is on this host.
struct Remains {
  std::vector<pid_t> processes;
  std::vector<std::string> namespaces;
  std::vector<std::string> mounts;   // in the folder
  std::vector<std::string> cgroups;  // of its nodes' machines: their directories
  bool empty() const {
    return processes.empty() && namespaces.empty() && mounts.empty() && cgroups.empty();
  }
  std::vector<std::string> lines() const;  // for a person
};
Remains find_remains(const std::string& directory);

// Ends processes, then removes what they held, then the folder. An error lists what would not go.
async::Task<Result<void>> remove_lab(sys::Host& host, std::string directory);

}  // namespace perigee::lab
