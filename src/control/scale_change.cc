#include "control/scale_change.h"

#include <algorithm>

namespace perigee::control {
namespace {

using model::RegionCount;

bool contains(const std::vector<RegionCode>& regions, const RegionCode& region) {
  return std::ranges::find(regions, region) != regions.end();
}

void drop_counts_elsewhere(model::Scale& scale) {
  std::erase_if(scale.region_counts, [&](const RegionCount& each) {
    return !scale.all_regions && !contains(scale.regions, each.region);
  });
}

void set_count(std::vector<RegionCount>& counts, const RegionCode& region, int count) {
  const auto found = std::ranges::find(counts, region, &RegionCount::region);
  if (found != counts.end()) {
    found->count = count;
  } else {
    counts.push_back({region, count});
  }
}

}  // namespace

model::Scale with_regions(model::Scale scale, std::vector<RegionCode> regions) {
  scale.all_regions = false;
  scale.regions = std::move(regions);
  drop_counts_elsewhere(scale);
  return scale;
}

model::Scale with_all_regions(model::Scale scale) {
  scale.all_regions = true;
  scale.regions.clear();
  return scale;
}

Result<model::Scale> with_changed_regions(const ScaleView& view, const std::vector<RegionCode>& add,
                                          const std::vector<RegionCode>& remove) {
  const bool only_adds = remove.empty() && view.scale.all_regions;
  if (only_adds) return view.scale;
  std::vector<RegionCode> regions = view.scale.regions;
  if (view.scale.all_regions) regions = regions_of(view);
  if (!view.scale.has_regions()) {  // where it happens to be
    for (const RegionTarget& target : plan_scale(view).targets) regions.push_back(target.region);
  }
  for (const RegionCode& region : add) {
    if (!contains(regions, region)) regions.push_back(region);
  }
  for (const RegionCode& region : remove) {
    if (!contains(regions, region))
      return fail(Code::invalid_argument, "region {}: the app is not there", region);
    std::erase(regions, region);
  }
  if (regions.empty())
    return fail(Code::invalid_argument,
                "no region would be left; `perigee regions set any` lets the app run where there "
                "is room, `perigee scale count 0` ends its machines");
  return with_regions(view.scale, std::move(regions));
}

model::Scale with_count(model::Scale scale, std::optional<int> count) {
  scale.count = count;
  scale.region_counts.clear();
  return scale;
}

Result<model::Scale> with_region_count(const ScaleView& view, const RegionCode& region, int count) {
  model::Scale scale = view.scale;
  if (scale.count || !scale.has_regions()) {
    scale.region_counts.clear();
    std::vector<RegionCode> regions;
    for (const RegionTarget& target : plan_scale(view).targets) {
      regions.push_back(target.region);
      scale.region_counts.push_back({target.region, target.want});
    }
    if (!scale.has_regions()) scale.regions = std::move(regions);
    scale.count.reset();
  }
  if (!scale.all_regions && !contains(scale.regions, region)) scale.regions.push_back(region);
  set_count(scale.region_counts, region, count);
  if (scale.max_per_region > 0 && count > scale.max_per_region)
    return fail(Code::invalid_argument,
                "count: {} is more than {} in one region; raise it with --max-per-region", count,
                scale.max_per_region);
  return scale;
}

}  // namespace perigee::control
