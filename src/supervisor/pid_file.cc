#include "supervisor/pid_file.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <vector>

#include "base/text.h"

namespace perigee::supervisor {
namespace {

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Field 22 of /proc/PID/stat (proc(5)), counted after the parenthesised name; empty for zombies and
// the dead.
std::string start_time(pid_t pid) {
  const std::string stat = read_text(fmt::format("/proc/{}/stat", pid));
  const auto name_end = stat.rfind(')');
  if (name_end == std::string::npos || name_end + 2 > stat.size()) return {};
  const std::vector<std::string_view> fields =
      split(std::string_view(stat).substr(name_end + 2), ' ');
  constexpr std::size_t kState = 0;
  constexpr std::size_t kStartTime = 19;
  if (fields.size() <= kStartTime || fields[kState] == "Z" || fields[kState] == "X") return {};
  return std::string(fields[kStartTime]);
}

}  // namespace

std::string pid_path(const std::string& run_directory, std::string_view name) {
  return fmt::format("{}/{}.pid", run_directory, name);
}

Result<void> write_pid_file(const std::string& path, pid_t pid) {
  const std::string temporary = fmt::format("{}.{}", path, ::getpid());
  {
    std::ofstream file(temporary, std::ios::trunc);
    file << pid << ' ' << start_time(pid) << '\n';
    if (!file.flush()) return fail(errno_error(errno, "write " + temporary));
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    return fail(errno_error(errno, "write " + path));
  }
  return {};
}

std::optional<pid_t> read_live_pid(const std::string& path) {
  const std::string text = read_text(path);
  const auto parts = split_once(trim(text), ' ');
  if (!parts) return std::nullopt;
  const auto pid = parse_uint(parts->first, 1U << 30);
  if (!pid || *pid == 0) return std::nullopt;
  const auto candidate = static_cast<pid_t>(*pid);
  const std::string started = start_time(candidate);
  if (started.empty() || started != parts->second) return std::nullopt;
  return candidate;
}

}  // namespace perigee::supervisor
