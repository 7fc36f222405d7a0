// A course of partitions and crashes through a simulated fleet, by seed, and what was wrong in it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fleet_sim/layout.h"

namespace perigee::fleet_sim {

struct Outcome {
  // Empty: at no time a machine was on two nodes, nor had a router that is in touch a route to a
  // node that is not, for kLostBound; kRoutesBound after all was healed no router had a route to
  // what does not run; and kCalmBound later everything was as it is to be, everywhere.
  std::vector<std::string> wrong;
  std::size_t machines_made = 0;  // in the place of those that were lost
};

Outcome run_course(const Size& size, std::uint64_t seed, int routers);

}  // namespace perigee::fleet_sim
