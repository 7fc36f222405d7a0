// plan_scale as tables: where machines are wanted, what is made and removed, and what waits.
#include "control/scale_plan.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace perigee::control {
namespace {

using Node = ScaleMachine::Node;

ScaleRegion region(std::string code, int room = 10, int nodes = 1) {
  return {.region = RegionCode(std::move(code)), .nodes = nodes, .room = room, .lack = {}};
}

ScaleMachine machine(std::string id, std::string at, std::int64_t created = 0) {
  ScaleMachine out;
  out.id = MachineId(std::move(id));
  out.node_id = NodeId(at + "-1");
  out.region = RegionCode(std::move(at));
  out.ready = true;
  out.created_at = {created};
  return out;
}

ScaleView view(model::Scale scale, std::vector<ScaleMachine> machines = {}) {
  return {.scale = std::move(scale),
          .primary = {},
          .regions = {region("fra"), region("iad"), region("syd")},
          .machines = std::move(machines)};
}

model::Scale regions(const std::vector<std::string>& codes,
                     std::optional<int> count = std::nullopt) {
  model::Scale scale;
  for (const std::string& code : codes) scale.regions.emplace_back(code);
  scale.count = count;
  return scale;
}

std::string wants(const ScalePlan& plan) {
  std::string out;
  for (const RegionTarget& each : plan.targets)
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", each.region, each.want);
  return out;
}
std::string adds(const ScalePlan& plan) {
  std::string out;
  for (const Addition& each : plan.add)
    out += fmt::format("{}{}", out.empty() ? "" : " ", each.region);
  return out;
}
std::string removes(const ScalePlan& plan) {
  std::string out;
  for (const Removal& each : plan.remove)
    out += fmt::format("{}{}", out.empty() ? "" : " ", each.machine);
  return out;
}

TEST_CASE("without regions and count an app has what it has") {
  const ScalePlan plan = plan_scale(view({}, {machine("a", "fra"), machine("b", "fra")}));
  CHECK(wants(plan) == "fra 2");
  CHECK(plan.add.empty());
  CHECK(plan.remove.empty());
  CHECK(plan.targets[0].why == "as deployed: neither regions nor a count are set");
  CHECK(plan_scale(view({})).total == 0);
}

TEST_CASE("regions without a count get one machine each, the primary one first") {
  ScaleView v = view(regions({"syd", "iad"}));
  CHECK(adds(plan_scale(v)) == "syd iad");
  v.primary = RegionCode("iad");
  CHECK(adds(plan_scale(v)) == "iad syd");
  v.machines = {machine("a", "iad"), machine("b", "syd")};
  CHECK(plan_scale(v).add.empty());
  CHECK(plan_scale(v).remove.empty());
}

TEST_CASE("all regions are those of the fleet, now and later") {
  model::Scale all;
  all.all_regions = true;
  ScaleView v = view(all, {machine("a", "fra"), machine("b", "iad"), machine("c", "syd")});
  CHECK(wants(plan_scale(v)) == "fra 1, iad 1, syd 1");
  v.regions.push_back(region("yyz"));
  CHECK(adds(plan_scale(v)) == "yyz");
}

TEST_CASE("a count is spread evenly, the primary region first, then those that have machines") {
  ScaleView v = view(regions({"fra", "iad", "syd"}, 4));
  CHECK(wants(plan_scale(v)) == "fra 2, iad 1, syd 1");
  v.primary = RegionCode("syd");
  CHECK(wants(plan_scale(v)) == "syd 2, fra 1, iad 1");
  v = view(regions({"fra", "iad", "syd"}, 2), {machine("a", "iad"), machine("b", "syd")});
  CHECK(wants(plan_scale(v)) == "fra 0, iad 1, syd 1");
  CHECK(plan_scale(v).add.empty());
}

TEST_CASE("what a region has no room for goes to others, within max_per_region") {
  ScaleView v = view(regions({"fra", "iad", "syd"}, 6));
  v.regions[0].room = 1;
  CHECK(wants(plan_scale(v)) == "fra 1, iad 3, syd 2");
  v.scale.max_per_region = 2;
  const ScalePlan bounded = plan_scale(v);
  CHECK(wants(bounded) == "fra 1, iad 2, syd 2");
  CHECK(bounded.total == 6);
  REQUIRE(bounded.notes.size() == 1);
  CHECK(bounded.notes[0] ==
        "1 more wait for room (fra: there is no room; iad: at most 2 in one region; syd: at most 2 "
        "in one region)");
}

TEST_CASE("a region's own count holds for it alone") {
  model::Scale scale = regions({"fra", "iad"});
  scale.region_counts = {{RegionCode("iad"), 3}};
  const ScalePlan plan = plan_scale(view(scale, {machine("a", "iad")}));
  CHECK(wants(plan) == "fra 1, iad 3");
  CHECK(adds(plan) == "fra iad iad");
  CHECK(plan.targets[1].why == "set for this region");
  CHECK(plan.targets[1].have == 1);
}

TEST_CASE("a count without regions goes to the primary region, then to the nearest with room") {
  model::Scale scale;
  scale.count = 3;
  ScaleView v = view(scale, {machine("a", "syd")});
  v.primary = RegionCode("iad");
  CHECK(adds(plan_scale(v)) == "iad iad");
  v.regions[1].room = 1;
  CHECK(adds(plan_scale(v)) == "iad fra");  // Frankfurt is nearer to Virginia than Sydney
  v.regions[0].room = v.regions[2].room = 0;
  const ScalePlan full = plan_scale(v);
  CHECK(adds(full) == "iad");
  REQUIRE(full.notes.size() == 1);
  CHECK(
      full.notes[0] ==
      "1 more wait for room (fra: there is no room; iad: there is no room; syd: there is no room)");
}

TEST_CASE("a machine too many goes: what serves nobody first, then the newest; volumes last") {
  ScaleView v = view(regions({"fra"}, 1), {machine("old", "fra", 1), machine("new", "fra", 2)});
  CHECK(removes(plan_scale(v)) == "new");
  CHECK(plan_scale(v).remove[0].why == "fra is to have 1, not 2");
  CHECK(plan_scale(v).remove[0].how == Removal::How::drained);
  v.machines[0].resting = true;
  CHECK(removes(plan_scale(v)) == "old");
  v.machines[0].pinned = true;
  CHECK(removes(plan_scale(v)) == "new");
  v.machines[0] = machine("old", "fra", 1);
  v.machines[0].ready = false;
  CHECK(removes(plan_scale(v)) == "old");
  v.machines = {machine("x", "fra", 1), machine("y", "fra", 2), machine("z", "fra", 3)};
  v.machines[0].node_id = v.machines[1].node_id = NodeId("fra-crowded");
  v.machines[2].node_id = NodeId("fra-quiet");
  v.scale.count = 2;
  CHECK(removes(plan_scale(v)) == "y");
}

TEST_CASE("what runs is removed when those that take over are ready, not before") {
  ScaleView v = view(regions({"iad"}), {machine("a", "fra")});
  CHECK(adds(plan_scale(v)) == "iad");
  CHECK(plan_scale(v).remove.empty());
  v.machines.push_back(machine("b", "iad"));
  v.machines[1].ready = false;
  CHECK(plan_scale(v).add.empty());
  CHECK(plan_scale(v).remove.empty());
  v.machines[1].ready = true;
  CHECK(removes(plan_scale(v)) == "a");
  CHECK(plan_scale(v).remove[0].why == "fra is none of the app's regions");
}

TEST_CASE("the last machine that serves stays while its region has no room for another") {
  ScaleView v = view(regions({"iad"}), {machine("a", "fra")});
  v.regions[1] = region("iad", 0, 0);
  v.regions[1].lack = "node iad-1 is cordoned";
  const ScalePlan plan = plan_scale(v);
  CHECK(plan.add.empty());
  CHECK(plan.remove.empty());
  REQUIRE(plan.notes.size() == 1);
  CHECK(plan.notes[0] == "iad: 1 more wait: node iad-1 is cordoned");
}

TEST_CASE("a machine on a node that drains is replaced first, then removed") {
  ScaleView v = view({}, {machine("a", "fra"), machine("b", "fra")});
  v.machines[0].node = Node::drains;
  CHECK(plan_scale(v).add == std::vector{Addition{RegionCode("fra"), MachineId("a")}});
  CHECK(plan_scale(v).remove.empty());
  v.machines.push_back(machine("c", "fra"));
  v.machines[2].replaces = MachineId("a");
  v.machines[2].ready = false;
  CHECK(plan_scale(v).total == 2);
  CHECK(plan_scale(v).add.empty());
  CHECK(plan_scale(v).remove.empty());
  v.machines[2].ready = true;
  CHECK(plan_scale(v).add.empty());
  CHECK(removes(plan_scale(v)) == "a");
  CHECK(plan_scale(v).remove[0].why == "its node fra-1 drains");
}

TEST_CASE("a machine that was lost is replaced in its region, else in the nearest with room") {
  ScaleView v = view({}, {machine("a", "fra")});
  v.machines[0].node = Node::lost;
  v.machines[0].ready = false;
  CHECK(adds(plan_scale(v)) == "fra");
  v.regions[0] = region("fra", 0, 0);
  CHECK(adds(plan_scale(v)) == "iad");
  v.regions[1].room = v.regions[2].room = 0;
  const ScalePlan nowhere = plan_scale(v);
  CHECK(nowhere.add.empty());
  CHECK(nowhere.remove.empty());  // it goes on if its node returns
  REQUIRE(nowhere.notes.size() == 2);
  CHECK(nowhere.notes[0] ==
        "machine a waits on node fra-1, which was lost: there is no room for another in its place");
}

TEST_CASE("a lost machine is given up when others have its place, and a region's own waits") {
  ScaleView v = view(regions({"fra", "iad"}, 2), {machine("a", "fra"), machine("b", "iad")});
  v.machines[0].node = Node::lost;
  v.machines[0].ready = false;
  v.regions[0] = region("fra", 0, 0);
  CHECK(adds(plan_scale(v)) == "iad");  // a count is kept in other regions
  REQUIRE(plan_scale(v).remove.size() == 1);
  CHECK(plan_scale(v).remove[0].how == Removal::How::given_up);
  v.scale.count.reset();  // one in each region: fra's waits for fra
  CHECK(plan_scale(v).add.empty());
  CHECK(plan_scale(v).remove.empty());
}

TEST_CASE("when a lost region is back, machines return to it") {
  ScaleView v = view(regions({"fra", "iad"}, 2), {machine("b", "iad", 1), machine("c", "iad", 2)});
  CHECK(adds(plan_scale(v)) == "fra");
  CHECK(plan_scale(v).remove.empty());
  v.machines.push_back(machine("d", "fra", 3));
  CHECK(removes(plan_scale(v)) == "c");
}

TEST_CASE("a machine that holds a volume stays where it is") {
  ScaleView v = view(regions({"iad"}), {machine("a", "fra"), machine("b", "fra")});
  for (ScaleMachine& each : v.machines) each.pinned = true;
  v.machines[0].node = Node::lost;
  v.machines[1].node = Node::drains;
  const ScalePlan plan = plan_scale(v);
  CHECK(wants(plan) == "iad 1, fra 2");
  CHECK(adds(plan) == "iad");
  CHECK(plan.remove.empty());
  REQUIRE(plan.notes.size() == 1);
  CHECK(plan.notes[0].starts_with("fra: 2 stay though it is none of the app's regions"));
}

TEST_CASE("a leased machine is neither moved nor removed, and is named") {
  ScaleView v = view(regions({"fra", "iad"}, 1), {machine("a", "fra", 1), machine("b", "iad", 2)});
  CHECK(removes(plan_scale(v)) == "b");
  v.machines[1].lease = "leased by somebody";
  ScalePlan plan = plan_scale(v);
  CHECK(plan.remove.empty());
  REQUIRE(plan.notes.size() == 1);
  CHECK(plan.notes[0] ==
        "machine b stays though iad is to have 0, not 1: it is leased by somebody");

  v.scale.count = 2;
  v.machines[1].node = Node::drains;
  plan = plan_scale(v);
  CHECK(plan.add.empty());
  CHECK(plan.remove.empty());
  REQUIRE(plan.notes.size() == 1);
  CHECK(plan.notes[0] == "machine b stays on node iad-1, which drains: it is leased by somebody");
  v.machines[1].node = Node::lost;  // whoever holds it can do nothing there
  CHECK(adds(plan_scale(v)) == "iad");
  CHECK(removes(plan_scale(v)) == "b");
}

TEST_CASE("of an app without regions others go before one that is leased") {
  ScaleView v = view({}, {machine("a", "fra", 1), machine("b", "fra", 2)});
  v.scale.count = 1;
  v.machines[1].lease = "leased by somebody";
  CHECK(removes(plan_scale(v)) == "a");
  CHECK(plan_scale(v).notes.empty());
}

TEST_CASE("several volumes in one region keep their machines there without a count") {
  ScaleView v = view(regions({"fra", "iad"}), {machine("a", "fra", 1), machine("b", "fra", 2)});
  for (ScaleMachine& each : v.machines) each.pinned = true;
  CHECK(wants(plan_scale(v)) == "fra 2, iad 1");
  v.scale.count = 2;
  CHECK(wants(plan_scale(v)) == "fra 2, iad 0");
  v.scale.count = 1;
  CHECK(wants(plan_scale(v)) == "fra 1, iad 0");
  CHECK(removes(plan_scale(v)) == "b");
}

TEST_CASE("nothing is done twice: a plan carried out leaves nothing to do") {
  for (int number = -1; number <= 9; ++number) {
    CAPTURE(number);
    const auto count = number < 0 ? std::nullopt : std::optional(number);
    ScaleView v = view(regions({"fra", "iad", "syd"}, count), {machine("x", "yyz")});
    for (int i = 0; i < 3; ++i) {
      const ScalePlan plan = plan_scale(v);
      for (const Addition& each : plan.add)
        v.machines.push_back(machine(fmt::format("m{}", v.machines.size()), each.region.str()));
      for (const Removal& each : plan.remove)
        std::erase_if(v.machines, [&](const auto& m) { return m.id == each.machine; });
    }
    CHECK(v.machines.size() == static_cast<std::size_t>(count.value_or(3)));
    CHECK(plan_scale(v).add.empty());
    CHECK(plan_scale(v).remove.empty());
  }
}

}  // namespace
}  // namespace perigee::control
