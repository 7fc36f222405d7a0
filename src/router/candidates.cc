#include "router/candidates.h"

#include <array>

#include "base/text.h"
#include "model/json.h"
#include "router/limits.h"

namespace perigee::router {
namespace {

// Ours, or the name that apps know from elsewhere.
const std::string* either(const http::Headers& headers, std::string_view ours,
                          std::string_view known) {
  const std::string* found = headers.find(ours);
  return found != nullptr ? found : headers.find(known);
}

void take_regions(routing::Wish& wish, const std::string& list) {
  for (const std::string_view word : split(list, ',')) {
    const auto region = model::parse_region(trim(word));
    if (region && wish.regions.size() < kMaxWishedRegions) wish.regions.push_back(*region);
  }
}

}  // namespace

std::vector<routing::Candidate> Candidates::of(const model::AppRoute& route,
                                               const routing::Wish& wish,
                                               const std::set<std::string>& refused) const {
  std::vector<routing::Candidate> out;
  out.reserve(route.targets.size());
  for (const model::RouteTarget& target : route.targets) {
    routing::Candidate candidate = one(target);
    candidate.refused = refused.contains(target.machine.str());
    candidate.wish = routing::fit(wish, target);
    out.push_back(candidate);
  }
  return out;
}

routing::Candidate Candidates::one(const model::RouteTarget& target) const {
  const std::string& machine = target.machine.str();
  const std::string& node = target.node.str();
  routing::Candidate out{.target = &target};
  const auto known = state_.table->nodes().find(node);
  out.leaving = known != state_.table->nodes().end() && known->second.draining;
  if (node == own_node_) {
    out.in_flight = state_.loads.of(machine);
    return out;
  }
  out.in_flight = state_.remote_loads.in_flight(machine);
  out.rtt = nodes_.rtt(node).value_or(kUnknownRtt);
  out.reachable = nodes_.reaches(node);
  return out;
}

routing::Wish wish_of(const http::Headers& headers) {
  routing::Wish wish;
  const std::string* machine = either(headers, "perigee-force-machine", "fly-force-instance-id");
  wish.machine_only = machine != nullptr;
  if (machine == nullptr) {
    machine = either(headers, "perigee-prefer-machine", "fly-prefer-instance-id");
  }
  if (machine != nullptr) wish.machine = MachineId(*machine);
  const std::string* regions = either(headers, "perigee-force-region", "fly-force-region");
  wish.regions_only = regions != nullptr;
  if (regions == nullptr) {
    regions = either(headers, "perigee-prefer-region", "fly-prefer-region");
  }
  if (regions != nullptr) take_regions(wish, *regions);
  return wish;
}

}  // namespace perigee::router
