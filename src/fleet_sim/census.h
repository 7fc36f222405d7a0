// Census: on which nodes the machines of a simulated fleet are, whatever control knows of it. One
// that comes to a second node while it is on another is noted at that moment, and stays noted.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/id.h"

namespace perigee::fleet_sim {

class Census {
 public:
  void comes(const MachineId& machine, int node);
  void goes(const MachineId& machine, int node) { there_.erase({machine, node}); }

  std::size_t size() const { return there_.size(); }
  std::size_t arrivals() const { return arrivals_; }
  const std::vector<std::string>& doubles() const { return doubles_; }  // bounded

 private:
  std::set<std::pair<MachineId, int>> there_;
  std::size_t arrivals_ = 0;
  std::vector<std::string> doubles_;
};

}  // namespace perigee::fleet_sim
