#include "sys/usage.h"

#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <iterator>

#include "base/text.h"

namespace perigee::sys {
namespace {

constexpr std::size_t kUserField = 11;  // of stat, counted behind the command's parenthesis
constexpr std::size_t kSystemField = 12;
constexpr std::uint64_t kKibibyte = 1024;

Result<std::string> read_text(const std::string& path) {
  std::ifstream file(path);
  if (!file) return fail(Code::not_found, "{}: not there", path);
  return std::string{std::istreambuf_iterator<char>(file), {}};
}

Result<std::uint64_t> read_number(const std::string& path) {
  TRY(const std::string text, read_text(path));
  const auto number = parse_uint(trim(text), ~std::uint64_t{0});
  if (!number) return fail(Code::internal, "{}: not a number", path);
  return *number;
}

}  // namespace

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

Result<InterfaceUsage> interface_usage(const std::string& name) {
  InterfaceUsage usage;
  const std::string base = fmt::format("/sys/class/net/{}/statistics/", name);
  TRY(usage.received_bytes, read_number(base + "rx_bytes"));
  TRY(usage.received_packets, read_number(base + "rx_packets"));
  TRY(usage.sent_bytes, read_number(base + "tx_bytes"));
  TRY(usage.sent_packets, read_number(base + "tx_packets"));
  return usage;
}

}  // namespace perigee::sys
