// What the calls on an app's regions and count make of its scale. Pure.
#pragma once

#include "control/scale_plan.h"

namespace perigee::control {

// No regions: where there is room.
model::Scale with_regions(model::Scale scale, std::vector<RegionCode> regions);
model::Scale with_all_regions(model::Scale scale);
// `view`: of the app as it is; what it means by its regions now is what is added to and removed
// from. `invalid_argument` where none would be left.
Result<model::Scale> with_changed_regions(const ScaleView& view, const std::vector<RegionCode>& add,
                                          const std::vector<RegionCode>& remove);
// In all; nullopt: one in each region.
model::Scale with_count(model::Scale scale, std::optional<int> count);
// In one region. From then on each region has a number of its own: the others keep what they are
// to have now.
Result<model::Scale> with_region_count(const ScaleView& view, const RegionCode& region, int count);

}  // namespace perigee::control
