// Layout: what a simulated fleet is made of at its start: nodes in cities, apps of 25 machines that
// are kept in five cities each, some with a volume at each machine, as records of the store. Pure.
#pragma once

#include <vector>

#include "base/id.h"
#include "model/types.h"
#include "store/store.h"

namespace perigee::fleet_sim {

inline constexpr const char* kDomain = "fleet.example";
inline constexpr int kMachinesPerApp = 25;
inline constexpr int kCitiesPerApp = 5;

struct Size {
  int nodes = 0;
  int cities = 0;
  int machines = 0;
  int apps() const { return machines / kMachinesPerApp; }
};

NodeId node_at(int index);
RegionCode city_of(const Size& size, int node);
AppName app_at(int index);
// Memory for its share of the machines and half as many again, so that a lost node's find room.
model::NodeReport empty_report(const Size& size, int node);

// Records of nodes, apps, releases, machines and volumes, in transactions that the store takes.
std::vector<store::Transaction> initial_records(const Size& size);

}  // namespace perigee::fleet_sim
