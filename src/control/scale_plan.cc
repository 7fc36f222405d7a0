#include "control/scale_plan.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <tuple>

#include "geo/regions.h"

namespace perigee::control {
namespace {

using Node = ScaleMachine::Node;
using How = Removal::How;

constexpr int kNoBound = std::numeric_limits<int>::max();

// A machine that holds a volume is where its volume is, whatever becomes of the node. A lease does
// not outlive its machine's node.
bool departs(const ScaleMachine& machine) {
  if (machine.node == Node::drains && !machine.lease.empty()) return false;
  return machine.node != Node::stays && !machine.pinned;
}

// What a region has and may get while the plan is made.
struct Share {
  RegionCode region{};
  bool listed = false;  // of the app's regions
  int nodes = 0;
  int room = 0;
  std::string lack{};
  int stays = 0;   // machines that stay where they are, unless they are too many
  int pinned = 0;  // those of them that hold a volume
  int want = 0;
  int adds = 0;
  std::string why{};

  int kept() const { return std::min(stays, want); }
  int shortage() const { return std::max(0, want - stays - adds); }
};

// Regions without a place come last, in alphabetical order.
double distance(const RegionCode& a, const RegionCode& b) {
  const geo::Region* from = geo::find_region(a.str());
  const geo::Region* to = geo::find_region(b.str());
  if (from == nullptr || to == nullptr) return std::numeric_limits<double>::max();
  return geo::distance_km(from->place, to->place);
}

class Planner {
 public:
  explicit Planner(const ScaleView& view) : view_(view), scale_(view.scale) {
    for (const RegionCode& region : regions_of(view)) share(region).listed = true;
    std::set<RegionCode> occupied;
    for (const ScaleMachine& machine : view.machines) occupied.insert(machine.region);
    for (const ScaleRegion& each : view.regions) {
      // An app that has regions is not concerned with the others, by the hundred in a large fleet.
      if (scale_.has_regions() && !is_listed(each.region) && !occupied.contains(each.region))
        continue;
      Share& into = share(each.region);
      into.nodes = each.nodes;
      into.room = each.room;
      into.lack = each.lack;
    }
    for (const ScaleMachine& machine : view.machines) {
      ready_ += machine.ready ? 1 : 0;
      if (departs(machine)) continue;
      ++share(machine.region).stays;
      share(machine.region).pinned += machine.pinned ? 1 : 0;
    }
  }

  ScalePlan plan() {
    if (!scale_.has_regions()) {
      pool();
    } else if (scale_.count) {
      spread();
    } else {
      one_in_each();
    }
    for (const Share& each : shares_) needed_ += each.kept() + each.adds;
    let_wait();
    remove_departing();
    remove_surplus();
    tell();
    return std::move(plan_);
  }

 private:
  Share& share(const RegionCode& region) {
    const auto found = std::ranges::find(shares_, region, &Share::region);
    if (found != shares_.end()) return *found;
    shares_.push_back({.region = region});
    return shares_.back();
  }
  bool is_listed(const RegionCode& region) const {
    const auto found = std::ranges::find(shares_, region, &Share::region);
    return found != shares_.end() && found->listed;
  }
  int bound() const { return scale_.max_per_region > 0 ? scale_.max_per_region : kNoBound; }
  // More machines that may be made there.
  int open(const Share& share) const {
    return std::max(0, std::min(share.room - share.adds, bound() - share.stays - share.adds));
  }

  void pool();
  void add_near(const RegionCode& wished, const MachineId& replaces);
  bool is_replaced(const MachineId& machine) const;
  int kept_count() const;
  void spread();
  void one_in_each();
  void let_wait();
  void remove_departing();
  void remove_surplus();
  void remove(const ScaleMachine& machine, std::string why);
  std::vector<const ScaleMachine*> least_needed_first() const;
  std::string why_surplus(const Share& share) const;
  void tell();
  std::string lack_of(const Share& share) const;

  const ScaleView& view_;
  const model::Scale& scale_;
  std::vector<Share> shares_;
  std::set<MachineId> waiting_;  // on the node that they are to leave, for want of room elsewhere
  int ready_ = 0;                // machines that serve, without those to be removed
  int needed_ = 0;               // so many of them
  ScalePlan plan_;
};

// In its region while there is room, else in the nearest one that has some.
void Planner::add_near(const RegionCode& wished, const MachineId& replaces) {
  Share* best = nullptr;
  const auto rank = [&](const Share& each) {
    const bool other = !wished.empty() && each.region != wished;
    const double km = wished.empty() ? 0 : distance(wished, each.region);
    return std::tuple(other, km, wished.empty() ? -open(each) : 0, each.region);
  };
  for (Share& each : shares_) {
    if (open(each) == 0) continue;
    if (best == nullptr || rank(each) < rank(*best)) best = &each;
  }
  if (best == nullptr) return;
  ++best->adds;
  plan_.add.push_back({best->region, replaces});
}

bool Planner::is_replaced(const MachineId& machine) const {
  return std::ranges::find(view_.machines, machine, &ScaleMachine::replaces) !=
         view_.machines.end();
}

// As many as there are, without those that have a replacement beside them.
int Planner::kept_count() const {
  return static_cast<int>(std::ranges::count_if(
      view_.machines, [&](const ScaleMachine& each) { return !is_replaced(each.id); }));
}

// No regions are set: one pool of machines, each of which is where it is.
void Planner::pool() {
  plan_.total = scale_.count.value_or(kept_count());
  int missing = plan_.total;
  for (const Share& each : shares_) missing -= each.stays;
  for (const ScaleMachine& machine : view_.machines) {
    if (!departs(machine) || is_replaced(machine.id) || missing <= 0) continue;
    add_near(machine.region, machine.id);
    --missing;
  }
  for (; missing > 0; --missing) add_near(view_.primary, {});
  int left = plan_.total;
  for (Share& each : shares_) {
    each.want = each.stays + each.adds;
    left -= each.want;
    each.why = scale_.count ? fmt::format("{} machines where there is room", *scale_.count)
                            : "as deployed: neither regions nor a count are set";
  }
  // Too many: which ones go is a question of the machines, not of the regions.
  const auto order = least_needed_first();
  for (auto at = order.begin(); at != order.end() && left < 0; ++at) {
    if (departs(**at)) continue;
    --share((*at)->region).want;
    ++left;
  }
}

void Planner::one_in_each() {
  for (Share& each : shares_) {
    const auto fixed =
        std::ranges::find(scale_.region_counts, each.region, &model::RegionCount::region);
    if (each.listed && fixed != scale_.region_counts.end()) {
      each.want = std::min(fixed->count, bound());
      each.why = "set for this region";
    } else if (each.listed) {
      each.want = std::max(1, each.pinned);
      each.why = each.pinned > 1 ? "one for each volume" : "one in each region";
    } else {
      each.want = each.pinned;
      each.why = each.pinned > 0 ? "volumes are there" : "none of the app's regions";
    }
    each.adds = std::clamp(each.want - each.stays, 0, each.room);
    plan_.add.insert(plan_.add.end(), static_cast<std::size_t>(each.adds), {each.region});
    plan_.total += each.want;
  }
}

void Planner::spread() {
  plan_.total = *scale_.count;
  int rest = plan_.total;
  for (Share& each : shares_) {
    each.want = std::min(rest, each.pinned);
    rest -= each.want;
    each.why = each.listed       ? fmt::format("{} machines over its regions", plan_.total)
               : each.pinned > 0 ? "volumes are there"
                                 : "none of the app's regions";
  }
  const auto full = [&](const Share& each) {
    const int most = std::min(each.stays + each.room, std::max(bound(), each.pinned));
    return !each.listed || each.want >= most;
  };
  const auto rank = [&](const Share& each) {
    return std::tuple(each.want, each.region != view_.primary, each.stays <= each.want);
  };
  for (; rest > 0; --rest) {
    Share* next = nullptr;
    for (Share& each : shares_) {
      if (full(each)) continue;
      if (next == nullptr || rank(each) < rank(*next)) next = &each;
    }
    if (next == nullptr) break;
    ++next->want;
  }
  for (Share& each : shares_) {
    each.adds = std::max(0, each.want - each.stays);
    plan_.add.insert(plan_.add.end(), static_cast<std::size_t>(each.adds), {each.region});
  }
}

// Those whose place nobody takes wait: first those that still run.
void Planner::let_wait() {
  int places = plan_.total - needed_;
  std::map<RegionCode, int> places_in;
  for (const Share& each : shares_) places_in[each.region] = each.shortage();
  // Where each region has its own number, a place is only for a machine of that region.
  const bool by_region = scale_.has_regions() && !scale_.count;
  for (const Node node : {Node::drains, Node::lost}) {
    for (const ScaleMachine& machine : view_.machines) {
      if (machine.node != node || !departs(machine)) continue;
      int& left = by_region ? places_in[machine.region] : places;
      if (left <= 0) continue;
      --left;
      waiting_.insert(machine.id);
      needed_ += node == Node::drains ? 1 : 0;
      plan_.notes.push_back(fmt::format(
          "machine {} waits on node {}, which {}: there is no room for another in its place",
          machine.id, machine.node_id, node == Node::lost ? "was lost" : "drains"));
    }
  }
}

void Planner::remove_departing() {
  for (const ScaleMachine& machine : view_.machines) {
    if (machine.node == Node::drains && !machine.lease.empty()) {
      plan_.notes.push_back(fmt::format("machine {} stays on node {}, which drains: it is {}",
                                        machine.id, machine.node_id, machine.lease));
    }
    if (!departs(machine) || waiting_.contains(machine.id)) continue;
    if (machine.node == Node::drains) {
      remove(machine, fmt::format("its node {} drains", machine.node_id));
    } else {
      plan_.remove.push_back(
          {machine.id, fmt::format("its node {} was lost", machine.node_id), How::given_up});
    }
  }
}

// Unless it serves and those that take over are not ready yet. The last one that serves goes only
// where none is wanted.
void Planner::remove(const ScaleMachine& machine, std::string why) {
  const int least = std::max(needed_, plan_.total > 0 ? 1 : 0);
  if (machine.ready && ready_ <= least) return;
  ready_ -= machine.ready ? 1 : 0;
  plan_.remove.push_back({machine.id, std::move(why), How::drained});
}

std::string Planner::why_surplus(const Share& share) const {
  if (!share.listed && scale_.has_regions())
    return fmt::format("{} is none of the app's regions", share.region);
  return fmt::format("{} is to have {}, not {}", share.region, share.want, share.stays);
}

// What serves nobody first, then what crowds one node, the newest first; then what has a volume,
// and last what is leased.
std::vector<const ScaleMachine*> Planner::least_needed_first() const {
  std::map<NodeId, int> crowd;
  for (const ScaleMachine& machine : view_.machines) ++crowd[machine.node_id];
  std::vector<const ScaleMachine*> out;
  for (const ScaleMachine& machine : view_.machines) out.push_back(&machine);
  std::ranges::sort(out, {}, [&](const ScaleMachine* each) {
    const bool primary = !scale_.has_regions() && each->region == view_.primary;
    return std::tuple(!each->lease.empty(), each->pinned, each->ready, primary, !each->resting,
                      -crowd[each->node_id], -each->created_at.ns, each->id);
  });
  return out;
}

void Planner::remove_surplus() {
  std::map<RegionCode, int> surplus;
  for (const Share& each : shares_) surplus[each.region] = each.stays - each.kept();
  for (const ScaleMachine* machine : least_needed_first()) {
    if (departs(*machine) || surplus[machine->region] == 0) continue;
    --surplus[machine->region];
    const std::string why = why_surplus(share(machine->region));
    if (machine->lease.empty()) {
      remove(*machine, why);
    } else {
      plan_.notes.push_back(
          fmt::format("machine {} stays though {}: it is {}", machine->id, why, machine->lease));
    }
  }
}

std::string Planner::lack_of(const Share& share) const {
  if (share.nodes == 0 && share.lack.empty()) return "no node there takes machines";
  if (bound() <= share.stays + share.adds)
    return fmt::format("at most {} in one region", scale_.max_per_region);
  return share.lack.empty() ? "there is no room" : share.lack;
}

void Planner::tell() {
  int unplaced = plan_.total;
  for (const Share& each : shares_) {
    unplaced -= each.kept() + each.adds;
    if (!each.listed && each.want == 0 && each.stays == 0) continue;
    plan_.targets.push_back({each.region, each.want, each.stays, each.why});
    if (each.shortage() > 0)
      plan_.notes.push_back(
          fmt::format("{}: {} more wait: {}", each.region, each.shortage(), lack_of(each)));
    if (!each.listed && scale_.has_regions() && each.pinned > 0)
      plan_.notes.push_back(fmt::format(
          "{}: {} stay though it is none of the app's regions: they hold volumes; `perigee machine "
          "destroy` removes one",
          each.region, each.pinned));
  }
  const bool by_region = scale_.has_regions() && !scale_.count;
  if (by_region || unplaced <= 0) return;
  std::string where;
  for (const Share& each : shares_) {
    if (scale_.has_regions() && !each.listed) continue;
    where += fmt::format("{}{}: {}", where.empty() ? "" : "; ", each.region, lack_of(each));
  }
  plan_.notes.push_back(fmt::format("{} more wait for room ({})", unplaced,
                                    where.empty() ? "no node takes machines" : where));
}

}  // namespace

std::vector<RegionCode> regions_of(const ScaleView& view) {
  std::vector<RegionCode> out = view.scale.regions;
  if (view.scale.all_regions) {
    out.clear();
    for (const ScaleRegion& each : view.regions) out.push_back(each.region);
  }
  const auto primary = std::ranges::find(out, view.primary);
  if (primary != out.end()) std::rotate(out.begin(), primary, primary + 1);
  return out;
}

ScalePlan plan_scale(const ScaleView& view) {
  return Planner(view).plan();
}

}  // namespace perigee::control
