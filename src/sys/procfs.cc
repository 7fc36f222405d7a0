#include "sys/procfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "base/text.h"
#include "sys/fd.h"

namespace perigee::sys {
namespace {

constexpr std::size_t kMaxProcFile = 256 * 1024;
constexpr std::size_t kLongestCommand = 15;  // TASK_COMM_LEN without its end
constexpr std::size_t kStateField = 0;       // counted behind the command's closing parenthesis
constexpr std::size_t kParentField = 1;
constexpr std::size_t kStartTicksField = 19;  // proc(5): field 22 of stat

Result<std::string> read_proc(const std::string& path) {
  TRY(const Fd fd, own(::open(path.c_str(), O_RDONLY | O_CLOEXEC), "read " + path));
  std::string text;
  while (text.size() < kMaxProcFile) {
    const std::size_t old = text.size();
    text.resize(old + 4096);
    const ssize_t n = ::read(fd.get(), text.data() + old, 4096);
    if (n < 0) return fail(errno_error(errno, "read " + path));
    text.resize(old + static_cast<std::size_t>(n));
    if (n == 0) break;
  }
  return text;
}

// In a list of strings that a zero byte ends each: command lines, environments.
bool has_string(const std::string& list, const std::string& wanted) {
  for (const std::string_view one : split(list, '\0')) {
    if (one == wanted) return true;
  }
  return false;
}

Result<std::vector<pid_t>> all_processes() {
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), ::closedir);
  if (!proc) return fail(errno_error(errno, "list /proc"));
  std::vector<pid_t> pids;
  while (const dirent* entry = ::readdir(proc.get())) {
    const auto pid = parse_uint(entry->d_name, 1U << 30);
    if (pid) pids.push_back(static_cast<pid_t>(*pid));
  }
  return pids;
}

template <typename F>
std::vector<pid_t> other_processes(F matches) {
  std::vector<pid_t> found = all_processes().value_or(std::vector<pid_t>());
  std::erase_if(found, [&](pid_t pid) {
    return pid == ::getpid() || !process_start_ticks(pid) || !matches(pid);
  });
  return found;
}

// A number among the fields of the process's stat.
Result<std::uint64_t> stat_number(pid_t pid, std::size_t field) {
  const auto text = read_proc(fmt::format("/proc/{}/stat", pid));
  if (!text) return fail(Code::not_found, "process {}: there is none", pid);
  const auto end = text->rfind(')');  // the command may hold anything
  if (end == std::string::npos) return fail(Code::internal, "process {}: bad stat", pid);
  const auto fields = split(trim(std::string_view(*text).substr(end + 1)), ' ');
  if (fields.size() <= field) return fail(Code::internal, "process {}: bad stat", pid);
  if (fields[kStateField] == "Z" || fields[kStateField] == "X") {
    return fail(Code::not_found, "process {}: it has ended", pid);
  }
  const auto number = parse_uint(fields[field], ~std::uint64_t{0});
  if (!number) return fail(Code::internal, "process {}: bad stat", pid);
  return *number;
}

}  // namespace

Result<std::string> host_boot_id() {
  TRY(const std::string text, read_proc("/proc/sys/kernel/random/boot_id"));
  return std::string(trim(text));
}

Result<std::uint64_t> process_start_ticks(pid_t pid) {
  return stat_number(pid, kStartTicksField);
}

Result<pid_t> parent_process(pid_t pid) {
  TRY(const std::uint64_t parent, stat_number(pid, kParentField));
  return static_cast<pid_t>(parent);
}

Result<pid_t> find_process_by_argument(const std::string& argument) {
  TRY(const std::vector<pid_t> pids, all_processes());
  for (const pid_t pid : pids) {
    const auto command_line = read_proc(fmt::format("/proc/{}/cmdline", pid));
    if (command_line && has_string(*command_line, argument)) return pid;
  }
  return fail(Code::not_found, "no process with the argument '{}'", argument);
}

Result<pid_t> find_process(const std::string& program, const std::string& argument) {
  TRY(const std::vector<pid_t> pids, all_processes());
  for (const pid_t pid : pids) {
    const auto name = read_proc(fmt::format("/proc/{}/comm", pid));
    if (!name || trim(*name) != program.substr(0, kLongestCommand)) continue;
    const auto command_line = read_proc(fmt::format("/proc/{}/cmdline", pid));
    if (command_line && has_string(*command_line, argument)) return pid;
  }
  return fail(Code::not_found, "no {} with the argument '{}'", program, argument);
}

std::vector<pid_t> processes_with_environment(const std::string& assignment) {
  return other_processes([&](pid_t pid) {
    const auto environment = read_proc(fmt::format("/proc/{}/environ", pid));
    return environment && has_string(*environment, assignment);
  });
}

std::vector<pid_t> processes_in_network_namespace(const std::string& path) {
  struct stat wanted{};
  if (::stat(path.c_str(), &wanted) < 0) return {};
  return other_processes([&](pid_t pid) {
    struct stat is{};
    return ::stat(fmt::format("/proc/{}/ns/net", pid).c_str(), &is) == 0 &&
           is.st_ino == wanted.st_ino && is.st_dev == wanted.st_dev;
  });
}

}  // namespace perigee::sys
