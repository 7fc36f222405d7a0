#include "routing/wish.h"

#include <algorithm>

#include "routing/choose.h"

namespace perigee::routing {

// The machine named first, then the regions in their order, then everything else.
int fit(const Wish& wish, const model::RouteTarget& target) {
  if (wish.empty()) return 0;
  if (!wish.machine.empty()) {
    if (target.machine == wish.machine) return 0;
    if (wish.machine_only) return kNotWished;
  }
  const auto found = std::ranges::find(wish.regions, target.region);
  if (found != wish.regions.end()) return 1 + static_cast<int>(found - wish.regions.begin());
  return wish.regions_only ? kNotWished : 1 + static_cast<int>(wish.regions.size());
}

}  // namespace perigee::routing
