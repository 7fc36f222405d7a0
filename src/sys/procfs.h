// What /proc says about this host and its processes: enough to recognise a process after our own
// restart.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace perigee::sys {

// Differs after each boot of the host.
Result<std::string> host_boot_id();
// When the process started, in clock ticks since the host's boot: with pid and boot id it names one
// process for ever. not_found when there is none (a zombie counts as none).
Result<std::uint64_t> process_start_ticks(pid_t pid);
// not_found when there is none.
Result<pid_t> parent_process(pid_t pid);
// The pid of a process whose command line holds `argument` as one whole argument; not_found.
Result<pid_t> find_process_by_argument(const std::string& argument);
// The same among the processes that run `program` (the first 15 bytes of its name).
Result<pid_t> find_process(const std::string& program, const std::string& argument);

// All processes but this one whose environment, as it was given at exec, holds `assignment`
// ("NAME=value"); children inherit it. Those that end meanwhile may be missing.
std::vector<pid_t> processes_with_environment(const std::string& assignment);
// All processes but this one in the network namespace that `path` names (sys/netns.h).
std::vector<pid_t> processes_in_network_namespace(const std::string& path);

}  // namespace perigee::sys
