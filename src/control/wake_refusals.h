// WakeRefusals: why a machine was not started for a request the last time that it was not: an event
// of control's own, shown among those that its worker reports. In memory. One per control, on its
// loop.
#pragma once

#include <algorithm>
#include <map>

#include "control/limits.h"
#include "model/types.h"

namespace perigee::control {

class WakeRefusals {
 public:
  void note(const MachineId& machine, std::string why, WallTime now) {
    if (newest_.size() >= kMaxWakeRefusals && !newest_.contains(machine))
      newest_.erase(newest_.begin());
    newest_[machine] = {
        .type = "wake_refused", .status = std::move(why), .source = "proxy", .at = now, .exit = {}};
  }
  // `events` of the machine, oldest first, with it.
  void add_to(std::vector<model::MachineEvent>& events, const MachineId& machine) const {
    const auto found = newest_.find(machine);
    if (found == newest_.end()) return;
    events.insert(std::ranges::upper_bound(events, found->second.at, {}, &model::MachineEvent::at),
                  found->second);
  }

 private:
  std::map<MachineId, model::MachineEvent> newest_;
};

}  // namespace perigee::control
