// What runs in the guest, for `perigee machine ps`: a bounded look through /proc. Used by
// Supervisor, only when the host asks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "channel/types.h"

namespace perigee::init {

// What /proc/PID/stat says of a process.
struct ProcessTimes {
  std::uint64_t cpu_ms = 0;
  std::uint64_t start_ms = 0;  // after boot
  std::uint64_t rss_bytes = 0;
  bool kernel_thread = false;
  bool operator==(const ProcessTimes&) const = default;
};
// Nothing where the text is not of that form. Pure.
std::optional<ProcessTimes> parse_process_stat(std::string_view text);
// "cmd\0arg\0" → "cmd arg". Pure.
std::string parse_command_line(std::string_view text);

channel::Processes find_processes();

}  // namespace perigee::init
