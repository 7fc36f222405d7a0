// Wish: what a request asks of the choice of its machine, in its headers (docs/load-balancing.md).
// Pure values; the router reads the headers.
#pragma once

#include <string>
#include <vector>

#include "base/id.h"
#include "model/types.h"

namespace perigee::routing {

struct Wish {
  MachineId machine{};                // empty: none named
  bool machine_only = false;          // no other will do
  std::vector<RegionCode> regions{};  // the best first
  bool regions_only = false;
  bool regions_alike = false;  // in no order: of those in them the usual choice
  MachineId avoided{};         // this one won't do
  std::string key{};  // requests with the same key find the same machine, as far as they can

  bool empty() const {
    return machine.empty() && regions.empty() && avoided.empty() && key.empty();
  }
  bool insists() const { return machine_only || regions_only || !avoided.empty(); }
};

// Candidate::wish of that machine: 0 fits best, kNotWished may not be chosen.
int fit(const Wish& wish, const model::RouteTarget& target);

}  // namespace perigee::routing
