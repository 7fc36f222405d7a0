// Changes: what of desired and observed state has changed since the feeds were last brought up to
// date, so that a change costs what it touches, however big the fleet is; and the Notify that wakes
// whoever waits for any change. DesiredTable, ObservedTable and Drains note here, the Publisher
// takes. One per control, on its loop.
#pragma once

#include <set>
#include <string>
#include <utility>

#include "async/event.h"
#include "base/id.h"

namespace perigee::control {

struct Touched {
  bool everything = false;
  std::set<AppName> apps;        // what their routes and names are made of
  std::set<std::string> hosts;   // their certificates
  std::set<MachineId> machines;  // what is reported of them, or whether they get requests
  std::set<NodeId> nodes;        // their record, or whether they are in touch
  std::set<NodeId> feeds;        // what is wanted of the node
};

class Changes {
 public:
  explicit Changes(async::Loop& loop) : notify_(loop) { touched_.everything = true; }

  void everything() { touched_.everything = true; }
  void app(const AppName& name) { touched_.apps.insert(name); }
  void host(const std::string& name) { touched_.hosts.insert(name); }
  void machine(const MachineId& id) { touched_.machines.insert(id); }
  void node(const NodeId& id) { touched_.nodes.insert(id); }
  void feed(const NodeId& id) { touched_.feeds.insert(id); }

  // All that was noted since the last call.
  Touched take() { return std::exchange(touched_, {}); }

  void notify_all() { notify_.notify_all(); }
  async::Notify& notify() { return notify_; }

 private:
  Touched touched_;
  async::Notify notify_;
};

}  // namespace perigee::control
