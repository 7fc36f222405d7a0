#include "init/stats.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "channel/limits.h"
#include "init/system.h"
#include "init/text.h"

namespace perigee::init {
namespace {

constexpr std::uint64_t kKibibyte = 1024;
constexpr std::size_t kDiskColumns = 3;  // of /proc/diskstats, before the counters

// Digits up to anything that is none; 0 without one.
std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

template <typename Values>
void fill(Values& values, const std::vector<std::string_view>& columns, std::size_t first) {
  for (std::size_t i = 0; i < values.size() && first + i < columns.size(); ++i) {
    values[i] = number(columns[first + i]);
  }
}

bool is_full(std::size_t rows) {
  return rows >= channel::kMaxStatsRows;
}

std::string content(const char* path) {
  auto text = read_file(path);
  return text ? std::move(*text) : std::string();
}

void read_filesystems(channel::Stats& stats) {
  for (const std::string& mount : parse_mounts(content("/proc/mounts"))) {
    struct statvfs info{};
    if (is_full(stats.filesystems.size()) || statvfs(mount.c_str(), &info) != 0) {
      continue;
    }
    stats.filesystems.push_back(
        {mount, {info.f_frsize, info.f_blocks, info.f_bfree, info.f_bavail}});
  }
}

}  // namespace

// "0.52 0.10 0.01 1/80 123"
void parse_loadavg(std::string_view text, channel::Stats& stats) {
  const std::vector<std::string_view> columns = words(text);
  for (std::size_t i = 0; i < stats.load_centi.size() && i < columns.size(); ++i) {
    const std::vector<std::string_view> parts = split(columns[i], '.');
    const std::uint64_t centi = number(parts[0]) * 100 + (parts.size() > 1 ? number(parts[1]) : 0);
    stats.load_centi[i] = static_cast<std::uint32_t>(std::min<std::uint64_t>(centi, UINT32_MAX));
  }
}

// "MemTotal:         229204 kB"
void parse_meminfo(std::string_view text, channel::Stats& stats) {
  for (const std::string_view line : split(text, '\n')) {
    const std::vector<std::string_view> columns = words(line);
    if (columns.size() < 2 || !columns[0].ends_with(':')) {
      continue;
    }
    const std::string_view name = columns[0].substr(0, columns[0].size() - 1);
    const auto field = std::ranges::find(channel::kMemoryFields, name);
    if (field != channel::kMemoryFields.end()) {
      stats.memory[static_cast<std::size_t>(field - channel::kMemoryFields.begin())] =
          number(columns[1]) * kKibibyte;
    }
  }
}

// "cpu0 4705 150 1120 16250 520 3 10 0 0 0": in USER_HZ, which is 100 on every Linux.
void parse_stat(std::string_view text, channel::Stats& stats) {
  for (const std::string_view line : split(text, '\n')) {
    const std::vector<std::string_view> columns = words(line);
    if (columns.empty() || !columns[0].starts_with("cpu") || columns[0] == "cpu") {
      continue;
    }
    if (is_full(stats.cpus.size())) {
      return;
    }
    stats.cpus.push_back({std::string(columns[0].substr(3)), {}});
    fill(stats.cpus.back().values, columns, 1);
  }
}

// "254 0 vda 1203 0 50210 310 12 4 128 3 0 290 313"
void parse_diskstats(std::string_view text, channel::Stats& stats) {
  for (const std::string_view line : split(text, '\n')) {
    const std::vector<std::string_view> columns = words(line);
    const bool is_disk = columns.size() > kDiskColumns && columns[2].starts_with("vd");
    if (!is_disk || is_full(stats.disks.size())) {
      continue;
    }
    stats.disks.push_back({std::string(columns[2]), {}});
    fill(stats.disks.back().values, columns, kDiskColumns);
  }
}

// "  eth0: 1500 12 0 0 0 0 0 0 800 9 0 0 0 0 0 0"; there may be no blank behind the colon.
void parse_net_dev(std::string_view text, channel::Stats& stats) {
  for (const std::string_view line : split(text, '\n')) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || is_full(stats.networks.size())) {
      continue;
    }
    const std::vector<std::string_view> name = words(line.substr(0, colon));
    if (name.empty()) {
      continue;
    }
    stats.networks.push_back({std::string(name[0]), {}});
    fill(stats.networks.back().values, words(line.substr(colon + 1)), 0);
  }
}

// "608	0	9223372036854775807": open, unused, limit
void parse_file_nr(std::string_view text, channel::Stats& stats) {
  const std::vector<std::string_view> columns = words(text);
  if (columns.size() == 3) {
    stats.files_open = number(columns[0]);
    stats.files_limit = number(columns[2]);
  }
}

// "/dev/vdc /data ext4 rw,relatime 0 0"
std::vector<std::string> parse_mounts(std::string_view text) {
  std::vector<std::string> mounts;
  for (const std::string_view line : split(text, '\n')) {
    const std::vector<std::string_view> columns = words(line);
    if (columns.size() < 3 || columns[2] == "erofs") {
      continue;
    }
    const bool wanted = columns[1] == "/" || columns[0].starts_with("/dev/");
    const bool known = std::ranges::find(mounts, columns[1]) != mounts.end();
    if (wanted && !known) {
      mounts.emplace_back(columns[1]);
    }
  }
  return mounts;
}

channel::Stats read_stats() {
  channel::Stats stats;
  parse_loadavg(content("/proc/loadavg"), stats);
  parse_meminfo(content("/proc/meminfo"), stats);
  parse_stat(content("/proc/stat"), stats);
  parse_diskstats(content("/proc/diskstats"), stats);
  parse_net_dev(content("/proc/net/dev"), stats);
  parse_file_nr(content("/proc/sys/fs/file-nr"), stats);
  read_filesystems(stats);
  return stats;
}

}  // namespace perigee::init
