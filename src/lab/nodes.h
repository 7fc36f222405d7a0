// The nodes of a lab: one perigeed for each city, each with a folder of its own as PERIGEE_ROOT,
// started as an owner of servers would start them. The first of those with control makes the fleet
// and join tokens; the others join with these.
#pragma once

#include <string>

#include "async/task.h"
#include "lab/topology.h"
#include "sys/host.h"

namespace perigee::lab {

// perigeed.toml of a city's node. Pure.
std::string node_configuration(const Plan& plan, const CityPlan& city);

// The commands, by path.
struct Programs {
  std::string perigee;
  std::string perigeed;
};

// Each does nothing where what it does is done, so that a second `up` starts what was killed.
async::Task<Result<void>> start_control(sys::Host& host, const Plan& plan, Programs programs);
async::Task<Result<void>> join_nodes(sys::Host& host, const Plan& plan, Programs programs);
// Until control calls every node of the plan ready.
async::Task<Result<void>> wait_for_nodes(sys::Host& host, const Plan& plan);

// Whether the city's perigeed runs.
bool node_runs(const CityPlan& city);

}  // namespace perigee::lab
