// place: on which node a new machine runs, and whether it fits anywhere. Pure.
//
// - Memory is never promised twice. Shared CPUs are overcommitted without bound: memory binds
//   first. Performance CPUs are promised at most twice, so that a deploy has room for the old and
//   the new machines side by side. Disk is asked for by volumes alone, at their full size.
// - Of the nodes with room: the one with the fewest machines of the app, then the one that has not
//   promised its performance CPUs, then the one with the most memory left.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "model/types.h"

namespace perigee::control {

struct NodeRoom {
  enum class State { ready, cordoned, draining, lost };
  NodeId node;
  RegionCode region;
  State state = State::ready;
  std::int64_t memory_mib = 0;  // for machines, in all
  std::int64_t used_mib = 0;    // by machines that are to run there
  int cpus = 0;
  int performance_cpus = 0;   // promised to machines that are to run there
  std::int64_t disk_mib = 0;  // left for new volumes, with those that are there grown to their size
  int machines = 0;           // that are to run there
  int of_app = 0;             // of the app that asks, whether they run or not
};

struct Demand {
  RegionCode region{};  // empty: any
  model::Guest guest{};
  std::int64_t disk_mib = 0;  // of new volumes
  bool operator==(const Demand&) const = default;
};

// What the node lacks for it, as part of a sentence: "node a has 64 of 512 MiB left"; empty: it
// fits.
std::string lack_of(const NodeRoom& node, const Demand& demand);
// The same of memory and CPUs alone, for a machine that is on the node already and is to run there
// again: whether the node takes new ones is no matter then.
std::string lack_to_run(const NodeRoom& node, const model::Guest& guest);
// How many machines like that fit beside what is there, at most `most`.
int fits(const NodeRoom& node, const Demand& demand, int most);

// `resource_exhausted` names what is missing where; `unavailable` where no node reports.
Result<NodeRoom> place(const std::vector<NodeRoom>& nodes, const Demand& demand);

std::string_view name(NodeRoom::State state);

}  // namespace perigee::control
