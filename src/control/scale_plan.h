// plan_scale: how many machines of an app's release each region should have, what has to be made
// and removed for it, and why. Pure, and without memory: the same facts give the same plan, so
// whoever carries it out may be killed at any step. Deploys place by it (release_machines.h),
// ScaleReconciler keeps to it, `perigee scale show` prints it.
//
// - Neither regions nor a count are set: as many as there are, wherever they are.
// - A count without regions: in the primary region while it has room, else where there is room.
// - Regions without a count: one machine in each, or what was set for that region alone.
// - Both: spread evenly over those of the regions that have room, the primary one first, then those
//   that have machines already, so that nothing moves without need.
//
// A machine on a node that drains or was lost for good is replaced. One that runs is removed only
// when enough others are ready; one that was lost only when another takes its place: where there is
// no room it waits, and goes on if its node returns. Machines that hold a volume never move. One
// under a lease is neither moved nor removed while that lasts, unless its node was lost.
#pragma once

#include <string>
#include <vector>

#include "model/types.h"

namespace perigee::control {

// A region as far as new machines of this release are concerned.
struct ScaleRegion {
  RegionCode region;
  int nodes = 0;     // that take machines now
  int room = 0;      // so many more machines fit
  std::string lack;  // why none does: "node fra-1 is cordoned"
};

struct ScaleMachine {
  enum class Node { stays, drains, lost };
  MachineId id;
  RegionCode region;
  NodeId node_id;
  Node node = Node::stays;
  MachineId replaces;    // model::Machine's
  bool pinned = false;   // it holds a volume
  bool ready = false;    // it serves, or rests as it should; not on a node that was lost
  bool resting = false;  // a request would have to wake it
  std::string lease{};   // who holds it; empty: nobody
  WallTime created_at;
};

struct ScaleView {
  model::Scale scale;
  RegionCode primary;                  // may be empty
  std::vector<ScaleRegion> regions;    // the fleet's, by code
  std::vector<ScaleMachine> machines;  // of the release, those to be destroyed left out
};

struct RegionTarget {
  RegionCode region;
  int want = 0;
  int have = 0;  // without those that are to be replaced
  std::string why;
  bool operator==(const RegionTarget&) const = default;
};

struct Addition {
  RegionCode region;
  MachineId replaces{};  // where an app has no scale: which of its machines it is for
  bool operator==(const Addition&) const = default;
};

struct Removal {
  MachineId machine;
  std::string why;
  enum class How {
    drained,   // out of the routes first
    given_up,  // its node is gone: it is destroyed when that returns
  } how = How::drained;
  bool operator==(const Removal&) const = default;
};

struct ScalePlan {
  std::vector<RegionTarget> targets;  // in the order in which machines are given out
  int total = 0;                      // wanted in all
  std::vector<Addition> add;
  std::vector<Removal> remove;     // now; what has to wait for others is not in it
  std::vector<std::string> notes;  // what is not as wanted, and why
};

ScalePlan plan_scale(const ScaleView& view);

// The regions that `scale` means in this fleet, primary first; empty: any.
std::vector<RegionCode> regions_of(const ScaleView& view);

}  // namespace perigee::control
