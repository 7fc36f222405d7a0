// gone_nodes: when a silent node is given up.
#include "control/node_health.h"

#include <doctest/doctest.h>

namespace perigee::control {
namespace {

std::string gone(const std::vector<Duration>& silences) {
  std::vector<NodeSilence> nodes;
  for (const Duration silent : silences)
    nodes.push_back({NodeId(std::string(1, static_cast<char>('a' + nodes.size()))), silent});
  std::string out;
  for (const NodeId& node : gone_nodes(nodes, {.lost = 15s, .given_up = 60s})) out += node.str();
  return out;
}

TEST_CASE("a node is given up when it was silent for long enough, not when it is lost") {
  CHECK(gone({1s, 59s, 2s}).empty());
  CHECK(gone({1s, 60s, 2s}) == "b");
  CHECK(gone({1s, 90s}) == "b");
}

TEST_CASE("where more than half are silent it takes ten times as long") {
  CHECK(gone({1s, 90s, 90s}).empty());
  CHECK(gone({1s, 599s, 600s}) == "c");
  CHECK(gone({1s, 1s, 90s, 90s}) == "cd");
  CHECK(gone({90s}) == "a");
  CHECK(gone({}).empty());
}

TEST_CASE("a node that is silent for less than a lease does not count as silent") {
  CHECK(gone({14s, 14s, 90s}) == "c");
  CHECK(gone({14s, 15s, 90s}).empty());
}

}  // namespace
}  // namespace perigee::control
