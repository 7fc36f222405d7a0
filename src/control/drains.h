// Drains: the machines that are on their way to rest for want of requests, in memory. Such a
// machine still runs but is shown to the routers as one that rests: requests that are there end, a
// new one brings it back. A restart of control forgets them: the machines run on.
#pragma once

#include <map>

#include "async/event.h"
#include "base/id.h"

namespace perigee::control {

class Drains {
 public:
  enum class Phase {
    draining,  // may be called off
    ordered,   // the order to rest is on its way to the store
  };
  explicit Drains(async::Notify& changed) : changed_(changed) {}

  void begin(const MachineId& machine) { set(machine, Phase::draining); }
  void ordered(const MachineId& machine) { set(machine, Phase::ordered); }
  void end(const MachineId& machine) {
    if (machines_.erase(machine) > 0) changed_.notify_all();
  }
  // A request needs it. True: it goes on running.
  bool call_off(const MachineId& machine) {
    if (!is(machine, Phase::draining)) return false;
    end(machine);
    return true;
  }
  bool contains(const MachineId& machine) const { return machines_.contains(machine); }
  bool is(const MachineId& machine, Phase phase) const {
    const auto found = machines_.find(machine);
    return found != machines_.end() && found->second == phase;
  }

 private:
  void set(const MachineId& machine, Phase phase) {
    machines_[machine] = phase;
    changed_.notify_all();
  }
  async::Notify& changed_;
  std::map<MachineId, Phase> machines_;
};

}  // namespace perigee::control
