#include "lab/load.h"

#include <algorithm>

namespace perigee::lab {
namespace {

// Of sorted values, the one that a share of them does not exceed.
Duration percentile(const std::vector<Duration>& sorted, int percent) {
  const std::size_t rank = (sorted.size() * static_cast<std::size_t>(percent) + 99) / 100;
  return sorted[std::max<std::size_t>(rank, 1) - 1];
}

}  // namespace

LoadSummary summarize_load(const std::vector<LoadSample>& samples) {
  LoadSummary summary{.asked = static_cast<int>(samples.size()), .outcomes = {}};
  std::vector<Duration> answered;
  for (const LoadSample& each : samples) {
    ++summary.outcomes[each.outcome];
    if (each.outcome == "200") answered.push_back(each.took);
  }
  if (answered.empty()) return summary;
  std::ranges::sort(answered);
  summary.p50 = percentile(answered, 50);
  summary.p90 = percentile(answered, 90);
  summary.p99 = percentile(answered, 99);
  summary.longest = answered.back();
  return summary;
}

}  // namespace perigee::lab
