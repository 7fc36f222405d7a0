#include "sys/usage.h"

#include <time.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <vector>

#include "base/text.h"

namespace perigee::sys {
namespace {

constexpr std::size_t kUserField = 11;  // of stat, counted behind the command's parenthesis
constexpr std::size_t kSystemField = 12;
// /proc/net/dev, behind the interface's name: bytes and packets in, and out.
constexpr std::array<std::size_t, 4> kInterfaceFields{0, 1, 8, 9};
constexpr std::uint64_t kKibibyte = 1024;

Result<std::string> read_text(const std::string& path) {
  std::ifstream file(path);
  if (!file) return fail(Code::not_found, "{}: not there", path);
  return std::string{std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

Duration thread_cpu_time() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

std::uint64_t smaps_bytes(std::string_view text, std::string_view key) {
  for (std::string_view line : split(text, '\n')) {
    if (!line.starts_with(key) || !line.substr(key.size()).starts_with(':')) continue;
    line = trim(line.substr(key.size() + 1));
    return parse_uint(line.substr(0, line.find(' ')), ~std::uint64_t{0} / kKibibyte).value_or(0) *
           kKibibyte;
  }
  return 0;
}

Result<Duration> stat_cpu(std::string_view text) {
  const auto end = text.rfind(')');  // the command may hold anything
  if (end == std::string_view::npos) return fail(Code::internal, "bad stat");
  const auto fields = split(trim(text.substr(end + 1)), ' ');
  if (fields.size() <= kSystemField) return fail(Code::internal, "bad stat");
  const auto user = parse_uint(fields[kUserField], INT64_MAX);
  const auto system = parse_uint(fields[kSystemField], INT64_MAX);
  if (!user || !system) return fail(Code::internal, "bad stat");
  const double seconds =
      static_cast<double>(*user + *system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  return Duration(static_cast<std::int64_t>(seconds * 1e9));
}

Result<ProcessUsage> process_usage(pid_t pid) {
  ProcessUsage usage;
  TRY(const std::string stat, read_text(fmt::format("/proc/{}/stat", pid)));
  TRY(usage.cpu, stat_cpu(stat));
  TRY(const std::string memory, read_text(fmt::format("/proc/{}/smaps_rollup", pid)));
  usage.resident_bytes = smaps_bytes(memory, "Rss");
  usage.proportional_bytes = smaps_bytes(memory, "Pss");
  return usage;
}

Result<InterfaceUsage> interface_counters(std::string_view text, std::string_view name) {
  for (const std::string_view line : split(text, '\n')) {
    const auto parts = split_once(trim(line), ':');
    if (!parts || parts->first != name) continue;
    std::vector<std::string_view> fields = split(parts->second, ' ');
    std::erase(fields, "");
    std::array<std::uint64_t, kInterfaceFields.size()> values{};
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto number = kInterfaceFields[i] < fields.size()
                              ? parse_uint(fields[kInterfaceFields[i]], ~std::uint64_t{0})
                              : std::nullopt;
      if (!number) return fail(Code::internal, "interface {}: bad counters", name);
      values[i] = *number;
    }
    return InterfaceUsage{values[0], values[1], values[2], values[3]};
  }
  return fail(Code::not_found, "interface {}: there is none", name);
}

// Not from /sys/class/net: that shows the interfaces of the network namespace in which it was
// mounted, which need not be ours.
Result<InterfaceUsage> interface_usage(const std::string& name) {
  TRY(const std::string text, read_text("/proc/thread-self/net/dev"));
  return interface_counters(text, name);
}

}  // namespace perigee::sys
