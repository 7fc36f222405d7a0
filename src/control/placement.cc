#include "control/placement.h"

#include <algorithm>
#include <tuple>

#include "control/limits.h"
#include "control/node_use.h"

namespace perigee::control {
namespace {

constexpr std::size_t kNamedNodes = 5;  // in one sentence

// Smaller is better.
auto preference(const NodeRoom& node, const Demand& demand) {
  const int promised = node.performance_cpus + performance_cpus(demand.guest);
  return std::tuple(node.of_app, std::max(0, promised - node.cpus),
                    node.used_mib - node.memory_mib);
}

std::string size_of(const Demand& demand) {
  std::string out = fmt::format("{} MiB", demand.guest.memory_mib);
  if (const int cpus = performance_cpus(demand.guest); cpus > 0)
    out += fmt::format(" and {} performance CPUs", cpus);
  if (demand.disk_mib > 0) out += fmt::format(", with volumes of {} MiB", demand.disk_mib);
  return out;
}

Error nowhere(const std::vector<const NodeRoom*>& nodes, const Demand& demand) {
  std::string lacks;
  for (std::size_t i = 0; i < std::min(nodes.size(), kNamedNodes); ++i)
    lacks += (lacks.empty() ? "" : "; ") + lack_of(*nodes[i], demand);
  if (nodes.size() > kNamedNodes) lacks += fmt::format("; {} more", nodes.size() - kNamedNodes);
  return Error::make(Code::resource_exhausted,
                     fmt::format("no room{}{} for a machine of {}: {}; stop or destroy machines, "
                                 "ask for less, or add a node",
                                 demand.region.empty() ? "" : " in region ", demand.region,
                                 size_of(demand), lacks));
}

}  // namespace

std::string_view name(NodeRoom::State state) {
  switch (state) {
    case NodeRoom::State::ready:
      return "ready";
    case NodeRoom::State::cordoned:
      return "cordoned";
    case NodeRoom::State::draining:
      return "draining";
    case NodeRoom::State::lost:
      return "lost";
  }
  return "";
}

std::string lack_of(const NodeRoom& node, const Demand& demand) {
  if (node.state == NodeRoom::State::lost) return fmt::format("node {} does not report", node.node);
  if (node.state != NodeRoom::State::ready)
    return fmt::format("node {} is {}", node.node, name(node.state));
  if (std::string lack = lack_to_run(node, demand.guest); !lack.empty()) return lack;
  if (node.disk_mib < demand.disk_mib)
    return fmt::format("node {} has {} MiB of disk left for volumes", node.node,
                       std::max<std::int64_t>(0, node.disk_mib));
  return {};
}

std::string lack_to_run(const NodeRoom& node, const model::Guest& guest) {
  const std::int64_t left = std::max<std::int64_t>(0, node.memory_mib - node.used_mib);
  if (left < guest.memory_mib)
    return fmt::format("node {} has {} of {} MiB left", node.node, left, node.memory_mib);
  const int cpus = performance_cpus(guest);
  const int most = node.cpus * kPerformanceOvercommit;
  if (cpus > 0 && node.performance_cpus + cpus > most)
    return fmt::format("node {} has promised {} performance CPUs and has {}", node.node,
                       node.performance_cpus, node.cpus);
  return {};
}

int fits(const NodeRoom& node, const Demand& demand, int most) {
  if (!lack_of(node, demand).empty()) return 0;
  std::int64_t count = (node.memory_mib - node.used_mib) / std::max(1, demand.guest.memory_mib);
  if (const int cpus = performance_cpus(demand.guest); cpus > 0) {
    const int left = node.cpus * kPerformanceOvercommit - node.performance_cpus;
    count = std::min<std::int64_t>(count, left / cpus);
  }
  if (demand.disk_mib > 0) count = std::min(count, node.disk_mib / demand.disk_mib);
  return static_cast<int>(std::min<std::int64_t>(count, most));
}

Result<NodeRoom> place(const std::vector<NodeRoom>& nodes, const Demand& demand) {
  std::vector<const NodeRoom*> there;
  const NodeRoom* best = nullptr;
  bool any_reports = false;
  for (const NodeRoom& node : nodes) {
    if (!demand.region.empty() && node.region != demand.region) continue;
    there.push_back(&node);
    any_reports = any_reports || node.state != NodeRoom::State::lost;
    if (!lack_of(node, demand).empty()) continue;
    if (best == nullptr || preference(node, demand) < preference(*best, demand)) best = &node;
  }
  if (best != nullptr) return *best;
  if (!demand.region.empty() && there.empty())
    return fail(Code::invalid_argument, "region {}: no node is there; see `perigee nodes`",
                demand.region);
  if (!any_reports)
    return fail(Code::unavailable, "no node{}{} reports at the moment; is a worker running?",
                demand.region.empty() ? "" : " of region ", demand.region);
  return fail(nowhere(there, demand));
}

}  // namespace perigee::control
