#include "vm/vmm_counters.h"

#include <algorithm>
#include <limits>

namespace perigee::vm {
namespace {

constexpr std::size_t kMaxLine = std::size_t{256} * 1024;  // some 10 KiB in practice
constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());

bool is_of(std::string_view group, std::string_view wanted) {
  return wanted.ends_with('_') ? group.starts_with(wanted) : group == wanted;
}

void add(std::uint64_t& sum, std::int64_t more) {
  sum += std::min(kMost - sum, static_cast<std::uint64_t>(std::max<std::int64_t>(more, 0)));
}

}  // namespace

void VmmCounterReader::feed(std::string_view bytes) {
  for (const char c : bytes) {
    if (c == '\n') {
      if (!too_long_) take_line();
      line_.clear();
      too_long_ = false;
    } else if (line_.size() < kMaxLine) {
      line_ += c;
    } else {
      too_long_ = true;
    }
  }
}

void VmmCounterReader::take_line() {
  const auto document = json::parse(line_);
  if (!document || !document->is_object()) return;
  for (const auto& [group, values] : document->members()) {
    for (std::size_t i = 0; i < kVmmCounters.size(); ++i) {
      if (!values.is_object() || !is_of(group, kVmmCounters[i].group)) continue;
      const auto more = values.optional_int(kVmmCounters[i].field, 0);
      if (more) add(counts_[i], *more);
    }
  }
}

json::Value to_json(const VmmCounts& counts) {
  json::Value out = json::object();
  for (std::size_t i = 0; i < counts.size(); ++i)
    out.set(kVmmCounters[i].name, static_cast<std::int64_t>(std::min(counts[i], kMost)));
  return out;
}

Result<VmmCounts> vmm_counts_from(const json::Value& value) {
  VmmCounts counts{};
  for (std::size_t i = 0; i < counts.size(); ++i) {
    TRY(const std::int64_t count, value.require_int(kVmmCounters[i].name));
    add(counts[i], count);
  }
  return counts;
}

}  // namespace perigee::vm
