// Whose a port is: by address, else by what an app has claimed of the nodes' addresses.
#include <doctest/doctest.h>

#include "routing/route_table.h"

namespace perigee::routing {
namespace {

using model::Protocol;

RoutePtr database(std::vector<std::string> addresses, std::vector<std::string> shared) {
  model::AppRoute route;
  route.app = AppName("db");
  route.addresses = std::move(addresses);
  route.shared_ports = std::move(shared);
  route.services = {
      {.internal_port = 5432, .ports = {{.port = 5432}, {.port = 6000, .end_port = 6010}}},
      {.protocol = Protocol::udp, .internal_port = 53, .ports = {{.port = 53}}}};
  return std::make_shared<const model::AppRoute>(std::move(route));
}

TEST_CASE("an app is found on every one of its ports at its own address, and nowhere else") {
  RouteTable table;
  table.set_app(database({"203.0.113.7", "2001:db8::7"}, {}));
  const auto owner = table.find_owner(Protocol::tcp, "203.0.113.7", 6004);
  REQUIRE(owner.has_value());
  CHECK(owner->route->app == AppName("db"));
  CHECK(owner->service->internal_port == 5432);
  CHECK(owner->port->port == 6000);
  CHECK(table.find_owner(Protocol::udp, "2001:db8::7", 53)->service->internal_port == 53);
  CHECK_FALSE(table.find_owner(Protocol::tcp, "203.0.113.7", 53).has_value());
  CHECK_FALSE(table.find_owner(Protocol::tcp, "203.0.113.7", 6011).has_value());
  CHECK_FALSE(table.find_owner(Protocol::tcp, "203.0.113.8", 5432).has_value());
}

TEST_CASE("an app is found at the nodes' addresses on the ports that it has claimed alone") {
  RouteTable table;
  table.set_app(database({}, {"tcp/5432"}));
  CHECK(table.find_owner(Protocol::tcp, "192.0.2.1", 5432).has_value());
  CHECK_FALSE(table.find_owner(Protocol::tcp, "192.0.2.1", 6000).has_value());
  CHECK_FALSE(table.find_owner(Protocol::udp, "192.0.2.1", 5432).has_value());
  table.set_app(database({"203.0.113.7"}, {}));
  CHECK_FALSE(table.find_owner(Protocol::tcp, "192.0.2.1", 5432).has_value());
  CHECK(table.find_owner(Protocol::tcp, "203.0.113.7", 5432).has_value());
  table.erase_app("db");
  CHECK_FALSE(table.find_owner(Protocol::tcp, "203.0.113.7", 5432).has_value());
}

TEST_CASE("what an app has claimed is no way to another's address") {
  RouteTable table;
  table.set_app(database({}, {"tcp/5432"}));
  model::AppRoute web;
  web.app = AppName("web");
  web.addresses = {"203.0.113.7"};
  table.set_app(std::make_shared<const model::AppRoute>(std::move(web)));
  CHECK_FALSE(table.find_owner(Protocol::tcp, "203.0.113.7", 5432).has_value());
}

}  // namespace
}  // namespace perigee::routing
