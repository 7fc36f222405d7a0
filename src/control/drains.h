// Drains: the machines that run but get no new requests, because they are about to rest for want of
// requests, or to be removed. In memory: a restart of control forgets them, and they run on. Beside
// its own a control keeps those that others tell it of (route_sharing.h), for as long as they do.
//
// One about to rest is shown to the routers as one that rests: a new request brings it back. One
// that is about to be removed is not shown at all.
#pragma once

#include <algorithm>
#include <map>
#include <optional>

#include "base/id.h"
#include "base/time.h"
#include "control/changes.h"

namespace perigee::control {

class Drains {
 public:
  enum class Phase {
    draining,  // may be called off
    ordered,   // the order to rest is on its way to the store
    leaving,   // it is about to be removed
  };
  explicit Drains(Changes& changes) : changes_(changes) {}

  void begin(const MachineId& machine) { set(machine, Phase::draining); }
  void leave(const MachineId& machine) { set(machine, Phase::leaving); }
  void ordered(const MachineId& machine) { set(machine, Phase::ordered); }
  void end(const MachineId& machine) {
    if (machines_.erase(machine) > 0) note(machine);
  }
  // A request needs it. True: it goes on running.
  bool call_off(const MachineId& machine) {
    if (!has(machines_, machine, Phase::draining)) return false;
    end(machine);
    return true;
  }
  bool contains(const MachineId& machine) const {
    return machines_.contains(machine) || drained_by(machine).has_value();
  }
  bool is(const MachineId& machine, Phase phase) const {
    return has(machines_, machine, phase) || std::ranges::any_of(others_, [&](const auto& each) {
             return has(each.second.machines, machine, phase);
           });
  }

  using Machines = std::map<MachineId, Phase>;
  const Machines& own() const { return machines_; }
  // All that another control drains, in place of what it said before; good until `until`.
  void set_others(const NodeId& control, Machines machines, MonotonicTime until) {
    Others& others = others_[control];
    others.until = until;
    if (others.machines == machines) return;
    note(others.machines);
    others.machines = std::move(machines);
    note(others.machines);
  }
  void expire(MonotonicTime now) {
    std::erase_if(others_, [&](const auto& each) {
      if (each.second.until > now) return false;
      note(each.second.machines);
      return true;
    });
  }
  // The other control that drains the machine.
  std::optional<NodeId> drained_by(const MachineId& machine) const {
    for (const auto& [control, others] : others_) {
      if (others.machines.contains(machine)) return control;
    }
    return std::nullopt;
  }

 private:
  struct Others {
    Machines machines;
    MonotonicTime until;
  };
  static bool has(const Machines& machines, const MachineId& machine, Phase phase) {
    const auto found = machines.find(machine);
    return found != machines.end() && found->second == phase;
  }
  void set(const MachineId& machine, Phase phase) {
    machines_[machine] = phase;
    note(machine);
  }
  void note(const MachineId& machine) {
    changes_.machine(machine);
    changes_.notify_all();
  }
  void note(const Machines& machines) {
    for (const auto& [machine, phase] : machines) note(machine);
  }
  Changes& changes_;
  Machines machines_;
  std::map<NodeId, Others> others_;
};

}  // namespace perigee::control
