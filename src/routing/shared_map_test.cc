// SharedMap, and a route table's copies, which share all but what differs.
#include <doctest/doctest.h>

#include <set>

#include "routing/route_table.h"
#include "routing/shared_map.h"

namespace perigee::routing {
namespace {

std::string key(int i) {
  return "key-" + std::to_string(i);
}

std::set<std::string> differences(const SharedMap<int>& before, const SharedMap<int>& after) {
  std::set<std::string> out;
  SharedMap<int>::differences(
      before, after, [&](const std::string& name, const int* old, const int* now) {
        const std::string from = old == nullptr ? "none" : std::to_string(*old);
        out.insert(name + ": " + from + " " + (now == nullptr ? "none" : std::to_string(*now)));
      });
  return out;
}

RoutePtr route(const std::string& app, std::vector<std::string> hosts) {
  auto made = std::make_shared<model::AppRoute>();
  made->app = AppName(app);
  made->hosts = std::move(hosts);
  return made;
}

TEST_CASE("a copy keeps what it has, and says what the other has since changed") {
  SharedMap<int> map;
  for (int i = 0; i < 1000; ++i) map.set(key(i), i);
  const SharedMap<int> before = map;
  CHECK(differences(before, map).empty());
  map.set(key(7), 70);
  map.set(key(8), 8);  // as it was
  map.set("new", 1);
  map.erase(key(9));
  map.erase("was never there");
  CHECK(before.size() == 1000);
  CHECK(map.size() == 1000);
  CHECK(*before.find(key(7)) == 7);
  CHECK(*map.find(key(7)) == 70);
  CHECK_FALSE(before.contains("new"));
  CHECK(before.contains(key(9)));
  CHECK_FALSE(map.contains(key(9)));
  CHECK(differences(before, map) ==
        std::set<std::string>{"key-7: 7 70", "new: none 1", "key-9: 9 none"});
  std::size_t visited = 0;
  map.for_each([&](const std::string&, int) { ++visited; });
  CHECK(visited == map.size());
  CHECK(differences(before, {}).size() == 1000);
}

TEST_CASE("a host goes to the next app that claims it when the first one gives it up") {
  RouteTable table;
  table.set_app(route("b", {"shop.test"}));
  table.set_app(route("a", {"shop.test", "a.test"}));
  const RouteTable copy = table;
  CHECK(table.find_host("shop.test")->app.str() == "a");
  table.set_app(route("a", {"a.test"}));
  CHECK(table.find_host("shop.test")->app.str() == "b");
  table.erase_app("b");
  CHECK(table.find_host("shop.test") == nullptr);
  CHECK(table.find_host("a.test")->app.str() == "a");
  CHECK(copy.find_host("shop.test")->app.str() == "a");
}

TEST_CASE("a copy of a table shares its nodes until one changes") {
  RouteTable table;
  table.set_node({.node = NodeId("n1"), .region = RegionCode("fra"), .mesh_address = "fd00::1"});
  const RouteTable copy = table;
  CHECK(table.shares_nodes(copy));
  table.erase_node("n2");
  CHECK(table.shares_nodes(copy));
  table.erase_node("n1");
  CHECK_FALSE(table.shares_nodes(copy));
  CHECK(copy.nodes().size() == 1);
  CHECK(table.nodes().empty());
}

}  // namespace
}  // namespace perigee::routing
