#include "init/processes.h"

#include <dirent.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <utility>
#include <vector>

#include "channel/limits.h"
#include "init/listening.h"
#include "init/system.h"
#include "init/text.h"

namespace perigee::init {
namespace {

// Columns of /proc/PID/stat behind the name, counted from 0 (proc(5) counts from 3).
constexpr std::size_t kFlagsColumn = 6;
constexpr std::size_t kUserColumn = 11;
constexpr std::size_t kSystemColumn = 12;
constexpr std::size_t kStartColumn = 19;
constexpr std::size_t kRssColumn = 21;
constexpr std::uint64_t kKernelThread = 0x00200000;  // PF_KTHREAD
constexpr std::uint64_t kMsPerTick = 10;             // USER_HZ is 100 on every Linux
constexpr std::uint64_t kPageBytes = 4096;

// A socket, and whose descriptor it is found by.
struct Socket {
  channel::ProcessSocket shown;
  std::uint64_t inode = 0;
};

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::uint64_t milliseconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

void add_sockets(const char* table, channel::Transport transport, std::vector<Socket>& into) {
  const auto text = read_file(table);
  if (!text) {
    return;
  }
  const bool tcp = transport == channel::Transport::kTcp;
  for (const ListeningEntry& entry : parse_listening(*text, tcp ? kTcpListens : kUdpOpen)) {
    into.push_back({{transport, entry.socket.address, entry.socket.port}, entry.inode});
  }
}

std::vector<Socket> open_sockets() {
  std::vector<Socket> sockets;
  add_sockets("/proc/net/tcp", channel::Transport::kTcp, sockets);
  add_sockets("/proc/net/tcp6", channel::Transport::kTcp, sockets);
  add_sockets("/proc/net/udp", channel::Transport::kUdp, sockets);
  add_sockets("/proc/net/udp6", channel::Transport::kUdp, sockets);
  return sockets;
}

std::string target_of(const std::string& link) {
  std::array<char, channel::kMaxProcessDirectory> target{};
  const ssize_t size = readlink(link.c_str(), target.data(), target.size());
  return {target.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

std::string command_of(const std::string& folder) {
  if (const auto words = read_file(folder + "/cmdline"); words && !words->empty()) {
    return parse_command_line(*words);
  }
  const auto name = read_file(folder + "/comm");  // it has ended, or has no words
  return name ? name->substr(0, name->find('\n')) : std::string();
}

// Nothing for a kernel thread, and for a process that has gone meanwhile.
std::optional<channel::Process> read_process(std::uint32_t pid, const std::vector<Socket>& sockets,
                                             int& budget) {
  const std::string folder = "/proc/" + std::to_string(pid);
  const auto stat = read_file(folder + "/stat");
  const auto times = stat ? parse_process_stat(*stat) : std::nullopt;
  if (!times || times->kernel_thread) {
    return std::nullopt;
  }
  const std::uint64_t up_ms = milliseconds(CLOCK_BOOTTIME);
  channel::Process process;
  process.pid = pid;
  process.cpu_ms = times->cpu_ms;
  process.rss_bytes = times->rss_bytes;
  process.age_ms = up_ms - std::min(up_ms, times->start_ms);
  process.started_unix_s = (milliseconds(CLOCK_REALTIME) - process.age_ms) / 1000;
  process.command = command_of(folder);
  process.directory = target_of(folder + "/cwd");
  for (const std::uint64_t inode : sockets_of(folder, budget)) {
    const auto found = std::ranges::find(sockets, inode, &Socket::inode);
    if (found != sockets.end()) {
      process.sockets.push_back(found->shown);
    }
  }
  return process;
}

}  // namespace

std::optional<ProcessTimes> parse_process_stat(std::string_view text) {
  const std::size_t name_end = text.rfind(')');  // a name may hold blanks and parentheses
  if (name_end == std::string_view::npos) {
    return std::nullopt;
  }
  const auto columns = words(text.substr(name_end + 1));
  if (columns.size() <= kRssColumn) {
    return std::nullopt;
  }
  ProcessTimes times;
  times.kernel_thread = (number(columns[kFlagsColumn]) & kKernelThread) != 0;
  times.cpu_ms = (number(columns[kUserColumn]) + number(columns[kSystemColumn])) * kMsPerTick;
  times.start_ms = number(columns[kStartColumn]) * kMsPerTick;
  times.rss_bytes = number(columns[kRssColumn]) * kPageBytes;
  return times;
}

std::string parse_command_line(std::string_view text) {
  while (text.ends_with('\0')) {
    text.remove_suffix(1);
  }
  std::string command(text.substr(0, channel::kMaxProcessCommand));
  std::ranges::replace(command, '\0', ' ');
  return command;
}

channel::Processes find_processes() {
  const std::vector<Socket> sockets = open_sockets();
  channel::Processes report;
  int budget = kMaxFilesLookedAt;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir("/proc"), closedir);
  for (const dirent* entry = nullptr; budget > 0 && folder &&
                                      report.processes.size() < channel::kMaxProcesses &&
                                      (entry = readdir(folder.get())) != nullptr;) {
    const auto pid = parse_number(entry->d_name);
    if (!pid) {
      continue;
    }
    if (auto process = read_process(*pid, sockets, budget)) {
      report.processes.push_back(std::move(*process));
    }
  }
  return report;
}

}  // namespace perigee::init
