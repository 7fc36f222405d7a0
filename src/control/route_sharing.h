// RouteSharing: what one control of a fleet takes out of the routes, all of them take out, and the
// one that waits for it knows when every router has heard of it, whichever control it follows.
//
// A machine that is about to rest or to be removed is drained by the control that leads that task,
// in its memory (drains.h). It tells the others all of its drains at each change, again every
// kDrainRenewal, and with them how far they must have followed the store; each answers where in its
// own routes feed that is. One that does not answer in time is not waited for: its routers follow
// another soon, or are cut off with it. Owned by Control, on its loop.
#pragma once

#include <map>
#include <string>

#include "control/control_peers.h"
#include "control/drains.h"
#include "control/publisher.h"

namespace perigee::control {

// A revision of each control's routes feed, by its epoch.
using RouteMarks = std::map<std::string, std::int64_t>;

class RouteSharing {
 public:
  RouteSharing(ControlPeers& peers, const DesiredTable& desired, Drains& drains,
               Publisher& publisher, async::Notify& changed)
      : peers_(peers),
        desired_(desired),
        drains_(drains),
        publisher_(publisher),
        changed_(changed) {}

  // Returns when every control that answers has sent its routers the routes as they are here now,
  // or after some seconds.
  async::Task<RouteMarks> spread();
  // Keeps the others told, for ever.
  async::Task<void> run();
  // What another control tells of its drains; what it is answered.
  async::Task<Result<json::Value>> take(NodeId from, json::Value told);

 private:
  // A word of another control's.
  struct Heard {
    std::string epoch;  // of its process
    std::int64_t sequence = 0;
  };
  json::Value own_state();
  async::Task<Result<RouteMarks>> tell(NodeId control, json::Value state);
  async::Task<void> spread_drains();
  bool is_news(const NodeId& from, const Heard& heard);

  ControlPeers& peers_;
  const DesiredTable& desired_;
  Drains& drains_;
  Publisher& publisher_;
  async::Notify& changed_;         // of anything that this control knows
  std::int64_t sequence_ = 0;      // of what the others are told
  std::map<NodeId, Heard> heard_;  // of the others
};

}  // namespace perigee::control
