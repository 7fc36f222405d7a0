// What plan_scale needs to know, gathered from control's tables: the fleet once for many apps, then
// each app's machines. A view is of one moment: nothing of it outlives the next co_await.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "control/context.h"
#include "control/node_rooms.h"
#include "control/scale_plan.h"

namespace perigee::control {

struct FleetView {
  std::vector<NodeRoom> rooms;
  std::set<NodeId> gone;  // given up (node_health.h)

  // Those with room for such a machine, by code.
  const std::vector<ScaleRegion>& regions(const Demand& demand) const;

 private:
  // Made once for each demand: apps by the thousand ask alike.
  mutable std::vector<std::pair<Demand, std::vector<ScaleRegion>>> regions_;
};
FleetView fleet_view(const Context& context);

using StoredMachines = std::vector<Stored<model::Machine>>;

// Of the machines among `machines` that are of that release.
ScaleView scale_view(const Context& context, const FleetView& fleet, const model::App& app,
                     const ReleaseRecord& release, const StoredMachines& machines);

// A machine that was made by hand, with what has been made in its place; each is kept on its own.
struct HandMade {
  ScaleView view;
  StoredMachines machines;
};
std::vector<HandMade> hand_made_views(const Context& context, const FleetView& fleet,
                                      const StoredMachines& machines);

// It serves or could serve, or rests as it should, on a node that reports.
bool is_ready(const Context& context, const model::Machine& machine);

}  // namespace perigee::control
