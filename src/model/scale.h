// Scale: where an app's machines run and how many, as its owner wants it; part of the app's record.
// control/scale_plan.h says what follows from it. Plain values.
#pragma once

#include <optional>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "json/json.h"

namespace perigee::model {

struct RegionCount {
  RegionCode region;
  int count = 0;
  bool operator==(const RegionCount&) const = default;
};

struct Scale {
  bool all_regions = false;                // those of the fleet, now and later
  std::vector<RegionCode> regions;         // else these, in order; none: where there is room
  std::optional<int> count;                // machines in all; unset: one in each region
  std::vector<RegionCount> region_counts;  // of single regions, where `count` is unset
  int max_per_region = 0;                  // 0: no bound
  bool operator==(const Scale&) const = default;

  // Somebody has said where or how many: it is kept so. Otherwise an app has the machines that its
  // deploys make.
  bool is_set() const { return has_regions() || count.has_value(); }
  bool has_regions() const { return all_regions || !regions.empty(); }
};

json::Value to_json(const Scale& scale);
Result<Scale> scale_from(const json::Value& value);

}  // namespace perigee::model
