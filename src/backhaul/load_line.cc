#include "backhaul/load_line.h"

#include <limits>

#include "backhaul/limits.h"
#include "base/text.h"

namespace perigee::backhaul {

std::string format_load(const LoadLine& line) {
  return fmt::format("{} {}\n", line.machine, line.others);
}

Result<LoadLine> parse_load(std::string_view text) {
  const auto parts = split_once(text, ' ');
  if (!parts || parts->first.empty() || parts->first.size() > kMaxNameBytes) {
    return fail(Code::invalid_argument, "loads: not a machine and a number");
  }
  const auto others = parse_uint(parts->second, std::numeric_limits<int>::max());
  if (!others) return fail(Code::invalid_argument, "loads: not a machine and a number");
  return LoadLine{.machine = std::string(parts->first), .others = static_cast<int>(*others)};
}

}  // namespace perigee::backhaul
