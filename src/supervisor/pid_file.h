// Pid files that can't be mistaken: pid and start time, so that a number which the kernel gave to
// another program meanwhile is recognised as not ours.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace perigee::supervisor {

// <run directory>/<name>.pid
std::string pid_path(const std::string& run_directory, std::string_view name);
// Written by the supervisor, and by a role for itself: the supervisor may be killed in between.
Result<void> write_pid_file(const std::string& path, pid_t pid);
// The process of the file if it still runs.
std::optional<pid_t> read_live_pid(const std::string& path);

}  // namespace perigee::supervisor
