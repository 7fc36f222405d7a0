// place: where a new machine goes, and what the refusal says where it fits nowhere.
#include "control/placement.h"

#include <doctest/doctest.h>

namespace perigee::control {
namespace {

NodeRoom room(std::string name, std::string region, std::int64_t memory_mib,
              std::int64_t used_mib) {
  NodeRoom out;
  out.node = NodeId(std::move(name));
  out.region = RegionCode(std::move(region));
  out.memory_mib = memory_mib;
  out.used_mib = used_mib;
  out.cpus = 2;
  out.disk_mib = 1000;
  return out;
}

std::vector<NodeRoom> rooms() {
  std::vector<NodeRoom> out{room("a", "iad", 1024, 512), room("b", "iad", 2048, 1024),
                            room("c", "fra", 8192, 0), room("d", "iad", 9999, 0)};
  out[3].state = NodeRoom::State::lost;
  return out;
}

const model::Guest kSmall;  // 256 MiB

TEST_CASE("a machine is placed where most memory is left, in its region") {
  CHECK(place(rooms(), {RegionCode("iad"), kSmall})->node == NodeId("b"));
  CHECK(place(rooms(), {RegionCode(), kSmall})->node == NodeId("c"));
}

TEST_CASE("machines of one app are spread over the nodes of the region") {
  auto nodes = rooms();
  nodes[1].of_app = 1;
  CHECK(place(nodes, {RegionCode("iad"), kSmall})->node == NodeId("a"));
  nodes[0].of_app = 1;
  CHECK(place(nodes, {RegionCode("iad"), kSmall})->node == NodeId("b"));
}

TEST_CASE("a cordoned or draining node takes no machine") {
  auto nodes = rooms();
  nodes[1].state = NodeRoom::State::cordoned;
  CHECK(place(nodes, {RegionCode("iad"), kSmall})->node == NodeId("a"));
  nodes[0].state = NodeRoom::State::draining;
  const auto none = place(nodes, {RegionCode("iad"), kSmall});
  CHECK(none.error().code == Code::resource_exhausted);
  CHECK(none.error().context ==
        "no room in region iad for a machine of 256 MiB: node a is draining; node b is cordoned; "
        "node d does not report; stop or destroy machines, ask for less, or add a node");
}

TEST_CASE("a refusal names what is missing where") {
  const auto big = place(rooms(), {RegionCode("iad"), {.memory_mib = 2048}});
  CHECK(big.error().code == Code::resource_exhausted);
  CHECK(big.error().context ==
        "no room in region iad for a machine of 2048 MiB: node a has 512 of 1024 MiB left; node b "
        "has 1024 of 2048 MiB left; node d does not report; stop or destroy machines, ask for "
        "less, or add a node");
  CHECK(place(rooms(), {RegionCode("syd"), kSmall}).error().code == Code::invalid_argument);
  CHECK(place({rooms()[3]}, {RegionCode(), kSmall}).error().code == Code::unavailable);
  CHECK(place({}, {RegionCode(), kSmall}).error().code == Code::unavailable);
  std::vector<NodeRoom> many;
  for (int i = 0; i < 7; ++i) many.push_back(room(fmt::format("n{}", i), "iad", 64, 0));
  const auto full = place(many, {RegionCode(), kSmall});
  CHECK(full.error().context.find("node n4 has 64 of 64 MiB left; 2 more; stop") !=
        std::string::npos);
}

TEST_CASE("a machine runs again where it is if memory is left, whether new ones may come or not") {
  NodeRoom full = room("a", "iad", 1024, 800);
  CHECK(lack_to_run(full, kSmall) == "node a has 224 of 1024 MiB left");
  NodeRoom cordoned = room("b", "iad", 1024, 512);
  cordoned.state = NodeRoom::State::cordoned;
  cordoned.disk_mib = 0;
  CHECK(lack_to_run(cordoned, kSmall).empty());
  const model::Guest performance{.cpu_kind = "performance", .cpus = 8};
  CHECK(lack_to_run(cordoned, performance).find("performance CPUs") != std::string::npos);
}

TEST_CASE("disk is asked for by volumes, at their full size") {
  auto nodes = rooms();
  nodes[1].disk_mib = 100;
  CHECK(place(nodes, {RegionCode("iad"), kSmall, 500})->node == NodeId("a"));
  const auto none = place(nodes, {RegionCode("iad"), kSmall, 5000});
  CHECK(none.error().context.find("node a has 1000 MiB of disk left for volumes") !=
        std::string::npos);
}

TEST_CASE("performance CPUs are promised twice at most, and once as long as possible") {
  auto nodes = rooms();
  const Demand fast{RegionCode("iad"), {.cpu_kind = "performance", .cpus = 2}, 0};
  CHECK(place(nodes, fast)->node == NodeId("b"));
  nodes[1].performance_cpus = 2;
  CHECK(place(nodes, fast)->node == NodeId("a"));
  nodes[0].performance_cpus = 2;
  CHECK(place(nodes, fast)->node == NodeId("b"));
  nodes[0].performance_cpus = nodes[1].performance_cpus = 3;
  CHECK(
      place(nodes, fast)
          .error()
          .context.find(
              "for a machine of 256 MiB and 2 performance CPUs: node a has promised 3 performance "
              "CPUs and has 2;") != std::string::npos);
  CHECK(place(nodes, {RegionCode("iad"), kSmall}).has_value());  // shared ones are not counted
}

TEST_CASE("what fits is counted until something runs out") {
  NodeRoom node = room("a", "iad", 1024, 128);
  CHECK(fits(node, {RegionCode(), {.cpu_kind = "performance"}}, 100) == 3);
  CHECK(fits(node, {RegionCode(), {.cpu_kind = "performance", .cpus = 2}}, 100) == 2);
  CHECK(fits(node, {RegionCode(), kSmall}, 100) == 3);
  CHECK(fits(node, {RegionCode(), kSmall}, 2) == 2);
  CHECK(fits(node, {RegionCode(), kSmall, 400}, 100) == 2);
  node.state = NodeRoom::State::cordoned;
  CHECK(fits(node, {RegionCode(), kSmall}, 100) == 0);
}

}  // namespace
}  // namespace perigee::control
