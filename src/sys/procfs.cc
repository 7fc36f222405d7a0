#include "sys/procfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "base/text.h"
#include "sys/fd.h"

namespace perigee::sys {
namespace {

constexpr std::size_t kMaxProcFile = 256 * 1024;
constexpr std::size_t kStateField = 0;        // counted behind the command's closing parenthesis
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

bool has_argument(const std::string& command_line, const std::string& argument) {
  for (const std::string_view one : split(command_line, '\0')) {
    if (one == argument) return true;
  }
  return false;
}

}  // namespace

Result<std::string> host_boot_id() {
  TRY(const std::string text, read_proc("/proc/sys/kernel/random/boot_id"));
  return std::string(trim(text));
}

Result<std::uint64_t> process_start_ticks(pid_t pid) {
  const auto text = read_proc(fmt::format("/proc/{}/stat", pid));
  if (!text) return fail(Code::not_found, "process {}: there is none", pid);
  const auto end = text->rfind(')');  // the command may hold anything
  if (end == std::string::npos) return fail(Code::internal, "process {}: bad stat", pid);
  const auto fields = split(trim(std::string_view(*text).substr(end + 1)), ' ');
  if (fields.size() <= kStartTicksField) return fail(Code::internal, "process {}: bad stat", pid);
  if (fields[kStateField] == "Z" || fields[kStateField] == "X") {
    return fail(Code::not_found, "process {}: it has ended", pid);
  }
  const auto ticks = parse_uint(fields[kStartTicksField], ~std::uint64_t{0});
  if (!ticks) return fail(Code::internal, "process {}: bad stat", pid);
  return *ticks;
}

Result<pid_t> find_process_by_argument(const std::string& argument) {
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), ::closedir);
  if (!proc) return fail(errno_error(errno, "list /proc"));
  while (const dirent* entry = ::readdir(proc.get())) {
    const auto pid = parse_uint(entry->d_name, 1U << 30);
    if (!pid) continue;
    const auto command_line = read_proc(fmt::format("/proc/{}/cmdline", *pid));
    if (command_line && has_argument(*command_line, argument)) return static_cast<pid_t>(*pid);
  }
  return fail(Code::not_found, "no process with the argument '{}'", argument);
}

}  // namespace perigee::sys
