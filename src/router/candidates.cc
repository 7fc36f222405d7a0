#include "router/candidates.h"

#include <array>

#include "base/text.h"
#include "model/json.h"
#include "router/limits.h"

namespace perigee::router {
namespace {

// Ours, or the name that apps know from elsewhere.
const std::string_view* either(const http::Headers& headers, std::string_view ours,
                               std::string_view known) {
  const std::string_view* found = headers.find(ours);
  return found != nullptr ? found : headers.find(known);
}

void take_regions(routing::Wish& wish, std::string_view list) {
  for (const std::string_view word : split(list, ',')) {
    const auto region = model::parse_region(trim(word));
    if (region && wish.regions.size() < kMaxWishedRegions) wish.regions.push_back(*region);
  }
}

}  // namespace

std::vector<routing::Candidate> Candidates::of(const model::AppRoute& route,
                                               const routing::Wish& wish,
                                               const Tried& tried) const {
  std::vector<routing::Candidate> out;
  out.reserve(route.targets.size());
  const model::RouteNode* own = node_named(own_node_);
  for (const model::RouteTarget& target : route.targets) {
    routing::Candidate candidate = one(target);
    candidate.refused = tried.refused.contains(target.machine.str());
    candidate.full = tried.full.contains(target.machine.str());
    candidate.aside = state_.outliers.aside(target, loop_.now());
    candidate.wish = routing::fit(wish, target);
    candidate.home = own != nullptr && target.region == own->region;
    out.push_back(candidate);
  }
  if (state_.outliers.known() > 0) routing::keep_half(out);
  return out;
}

const model::RouteNode* Candidates::node_named(const std::string& name) const {
  const auto known = state_.table->nodes().find(name);
  return known == state_.table->nodes().end() ? nullptr : &known->second;
}

routing::Candidate Candidates::one(const model::RouteTarget& target) const {
  const std::string& machine = target.machine.str();
  const std::string& node = target.node.str();
  routing::Candidate out{.target = &target};
  const model::RouteNode* known = node_named(node);
  out.leaving = known != nullptr && known->draining;
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
  const std::string_view* machine =
      either(headers, "perigee-force-machine", "fly-force-instance-id");
  wish.machine_only = machine != nullptr;
  if (machine == nullptr) {
    machine = either(headers, "perigee-prefer-machine", "fly-prefer-instance-id");
  }
  if (machine != nullptr) wish.machine = MachineId(std::string(*machine));
  const std::string_view* regions = either(headers, "perigee-force-region", "fly-force-region");
  wish.regions_only = regions != nullptr;
  if (regions == nullptr) {
    regions = either(headers, "perigee-prefer-region", "fly-prefer-region");
  }
  if (regions != nullptr) take_regions(wish, *regions);
  return wish;
}

}  // namespace perigee::router
