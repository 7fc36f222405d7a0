// What the guest's kernel counts, read from /proc when the host asks: load, memory, CPU, disks,
// network, open files, and how full the file systems on disks are. Used by Supervisor.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "channel/types.h"

namespace perigee::init {

// The parts, from the text of the file in /proc of that name. Pure; what can't be read is left out.
void parse_loadavg(std::string_view text, channel::Stats& stats);
void parse_meminfo(std::string_view text, channel::Stats& stats);
void parse_stat(std::string_view text, channel::Stats& stats);
void parse_diskstats(std::string_view text, channel::Stats& stats);
void parse_net_dev(std::string_view text, channel::Stats& stats);
void parse_file_nr(std::string_view text, channel::Stats& stats);

// The mount points of /proc/mounts that a machine's owner can fill: the root, and volumes.
std::vector<std::string> parse_mounts(std::string_view text);

channel::Stats read_stats();

}  // namespace perigee::init
