// Growth: what a change costs in a fleet of a given size, measured on the real code: bytes that go
// out, CPU in control and in a router, a router's memory; and whether it grows no faster than it
// may. Times are this thread's CPU time, of single changes the median of many.
#pragma once

#include <string>
#include <vector>

#include "fleet_sim/layout.h"
#include "json/json.h"

namespace perigee::fleet_sim {

struct Cost {
  Size size;
  // One machine's change of state, as its node reports it.
  double routes_bytes = 0;  // to each router
  double nodes_bytes = 0;   // to all nodes that have machines of the app, together
  double control_us = 0;    // to bring all feeds up to date
  double send_us = 0;       // to one more router, the simulated network's share included
  double router_us = 0;     // all that a router makes of it, that share included
  // All of control's work on what runs where, in one second, without that of reports.
  double quiet_us = 0;   // nothing changes
  double busy_us = 0;    // ten changes
  double report_us = 0;  // one node's report that says nothing new, its JSON included
  double round_ms = 0;   // to look whether all apps are as wanted: once a minute
  // A node that is lost, with all its machines.
  double lost_node_bytes = 0;  // to each router
  double lost_node_us = 0;     // to bring all feeds up to date
  // The whole.
  double snapshot_bytes = 0;  // to a router that begins
  double snapshot_ms = 0;     // for it to read that
  double router_bytes = 0;    // of memory for its routes; 0: this build can't tell
};

Cost measure(Size size);

// What of the larger fleet costs more than it may, given the smaller one; empty where nothing does.
// What one change costs may not grow, what is about the whole fleet no faster than the fleet.
std::vector<std::string> excesses(const Cost& smaller, const Cost& larger);

json::Value to_json(const std::vector<Cost>& costs);
std::string table(const std::vector<Cost>& costs);

}  // namespace perigee::fleet_sim
