// Drains: the machines that run but get no new requests, because they are about to rest for want of
// requests, or to be removed. In memory: a restart of control forgets them, and they run on.
//
// One about to rest is shown to the routers as one that rests: a new request brings it back. One
// that is about to be removed is not shown at all.
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
    leaving,   // it is about to be removed
  };
  explicit Drains(async::Notify& changed) : changed_(changed) {}

  void begin(const MachineId& machine) { set(machine, Phase::draining); }
  void leave(const MachineId& machine) { set(machine, Phase::leaving); }
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
