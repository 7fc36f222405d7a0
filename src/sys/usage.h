// What a process and a network interface of this host have used so far, from /proc and /sys.
// Reading blocks for a moment (smaps_rollup walks the process's memory): call it on the pool.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace perigee::sys {

struct ProcessUsage {
  Duration cpu{};                        // user and system
  std::uint64_t resident_bytes = 0;      // RSS
  std::uint64_t proportional_bytes = 0;  // PSS: shared pages counted in part
  bool operator==(const ProcessUsage&) const = default;
};

// Of this thread, which other programs on a busy machine do not add to. Does not block.
Duration thread_cpu_time();

// `not_found` when there is no such process.
Result<ProcessUsage> process_usage(pid_t pid);

struct InterfaceUsage {
  std::uint64_t received_bytes = 0;  // by the host: what a tap's guest has sent
  std::uint64_t received_packets = 0;
  std::uint64_t sent_bytes = 0;
  std::uint64_t sent_packets = 0;
  bool operator==(const InterfaceUsage&) const = default;
};

Result<InterfaceUsage> interface_usage(const std::string& name);

// The number behind "Pss:" in smaps_rollup's text, in bytes; 0 without it.
std::uint64_t smaps_bytes(std::string_view text, std::string_view key);
// utime and stime of /proc/PID/stat's text.
Result<Duration> stat_cpu(std::string_view text);
// An interface's line in the text of /proc/net/dev.
Result<InterfaceUsage> interface_counters(std::string_view text, std::string_view name);

}  // namespace perigee::sys
