// FlowTable: flows found, bounded and forgotten.
#include "router/flow_table.h"

#include <doctest/doctest.h>

#include <fmt/format.h>

namespace perigee::router {
namespace {

MonotonicTime at(int seconds) {
  return MonotonicTime{} + Duration(1s) * seconds;
}

struct Made {
  int number = 0;
};

TEST_CASE("a flow lasts from its last use") {
  FlowTable<Made> table(10, 10);
  REQUIRE(table.add("a", "c1", std::make_unique<Made>(1), at(0)) != nullptr);
  REQUIRE(table.add("b", "c1", std::make_unique<Made>(2), at(0)) != nullptr);
  REQUIRE(table.find("a", at(50)) != nullptr);
  table.expire(at(61), 60s);
  CHECK(table.find("b", at(61)) == nullptr);
  CHECK(table.find("a", at(61))->number == 1);
  table.expire(at(121), 60s);
  CHECK(table.size() == 1);
  table.expire(at(122), 60s);
  CHECK(table.size() == 0);
}

TEST_CASE("where it is full the longest unused one goes") {
  FlowTable<Made> table(3, 3);
  for (int i = 0; i < 3; ++i) {
    const std::string name = fmt::format("{}", i);
    REQUIRE(table.add(name, name, std::make_unique<Made>(i), at(i)) != nullptr);
  }
  REQUIRE(table.find("0", at(3)) != nullptr);
  REQUIRE(table.add("new", "new", std::make_unique<Made>(9), at(4)) != nullptr);
  CHECK(table.size() == 3);
  CHECK(table.find("1", at(5)) == nullptr);
  CHECK(table.find("0", at(5)) != nullptr);
  CHECK(table.find("2", at(5)) != nullptr);
}

TEST_CASE("who speaks goes on while a thousand invented clients push each other out") {
  FlowTable<Made> table(100, 10);
  REQUIRE(table.add("real", "real", std::make_unique<Made>(1), at(0)) != nullptr);
  for (int i = 0; i < 1000; ++i) {
    const std::string name = fmt::format("forged {}", i);
    REQUIRE(table.add(name, name, std::make_unique<Made>(i), at(i)) != nullptr);
    if (i % 50 == 0) REQUIRE(table.find("real", at(i)) != nullptr);
  }
  CHECK(table.size() == 100);
  CHECK(table.find("real", at(1000)) != nullptr);
}

TEST_CASE("one client has so many, and others theirs") {
  FlowTable<Made> table(100, 2);
  REQUIRE(table.add("a1", "a", std::make_unique<Made>(1), at(0)) != nullptr);
  REQUIRE(table.add("a2", "a", std::make_unique<Made>(2), at(0)) != nullptr);
  CHECK(table.add("a3", "a", std::make_unique<Made>(3), at(0)) == nullptr);
  CHECK(table.add("b1", "b", std::make_unique<Made>(4), at(0)) != nullptr);
  table.erase("a1");
  CHECK(table.add("a3", "a", std::make_unique<Made>(3), at(0)) != nullptr);
  table.erase_if([](const Made& made) { return made.number != 4; });
  CHECK(table.size() == 1);
  CHECK(table.add("a4", "a", std::make_unique<Made>(5), at(0)) != nullptr);
  table.erase("not there");
}

}  // namespace
}  // namespace perigee::router
