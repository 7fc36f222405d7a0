// The fields of a Stats message (types.h), in the order in which they travel; their names are those
// of the kernel's own tables, which init reads and whose meaning they have.
#pragma once

#include <array>
#include <string_view>

namespace perigee::channel {

inline constexpr std::array<std::string_view, 3> kLoadFields{"1", "5", "15"};  // minutes

// /proc/meminfo
inline constexpr std::array<std::string_view, 17> kMemoryFields{
    "MemTotal", "MemFree",  "MemAvailable", "Buffers",     "Cached",      "SwapCached",
    "Active",   "Inactive", "SwapTotal",    "SwapFree",    "Dirty",       "Writeback",
    "Slab",     "Shmem",    "VmallocTotal", "VmallocUsed", "VmallocChunk"};

// /proc/stat
inline constexpr std::array<std::string_view, 8> kCpuFields{"user",   "nice", "system",  "idle",
                                                            "iowait", "irq",  "softirq", "steal"};

// /proc/diskstats; times in milliseconds
inline constexpr std::array<std::string_view, 11> kDiskFields{
    "reads_completed",  "reads_merged",  "sectors_read",    "time_reading",
    "writes_completed", "writes_merged", "sectors_written", "time_writing",
    "io_in_progress",   "time_io",       "time_io_weighted"};

// /proc/net/dev
inline constexpr std::array<std::string_view, 16> kNetworkFields{
    "recv_bytes", "recv_packets", "recv_errs",       "recv_drop",
    "recv_fifo",  "recv_frame",   "recv_compressed", "recv_multicast",
    "sent_bytes", "sent_packets", "sent_errs",       "sent_drop",
    "sent_fifo",  "sent_colls",   "sent_carrier",    "sent_compressed"};

// statvfs(3)
inline constexpr std::array<std::string_view, 4> kFilesystemFields{"block_size", "blocks",
                                                                   "blocks_free", "blocks_avail"};

}  // namespace perigee::channel
