// What a machine uses, in words.
#include <algorithm>

#include "cli/commands.h"

namespace perigee::cli {
namespace {

double number(const json::Value& value, std::string_view key) {
  const json::Value* member = value.find(key);
  return member == nullptr ? 0 : member->number().value_or(0);
}

std::string bytes(const json::Value& value, std::string_view key) {
  return human_bytes(static_cast<std::uint64_t>(std::max(0.0, number(value, key))));
}

std::string load_of(const json::Value& guest) {
  std::string out;
  const json::Value* load = guest.find("load");
  for (const json::Value& one : load == nullptr ? json::Array{} : load->items()) {
    out += fmt::format(" {:.2f}", one.number().value_or(0));
  }
  return out;
}

}  // namespace

std::vector<std::string> usage_lines(const json::Value& usage) {
  std::vector<std::string> lines;
  if (const json::Value* guest = usage.find("guest")) {
    const double used =
        number(*guest, "memory_total_bytes") - number(*guest, "memory_available_bytes");
    lines.push_back(fmt::format("CPU      {:.1f} s since its boot, load{}",
                                number(*guest, "cpu_seconds"), load_of(*guest)));
    lines.push_back(fmt::format("Memory   {} of {} used",
                                human_bytes(static_cast<std::uint64_t>(std::max(0.0, used))),
                                bytes(*guest, "memory_total_bytes")));
  }
  if (const json::Value* vmm = usage.find("vmm")) {
    lines.push_back(fmt::format("VMM      {:.1f} s of CPU, {} on its host",
                                number(*vmm, "cpu_seconds"), bytes(*vmm, "proportional_bytes")));
  }
  return lines;
}

}  // namespace perigee::cli
