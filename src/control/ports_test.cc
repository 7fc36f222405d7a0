// Addresses of apps, and which ports of the nodes' own addresses are one app's.
#include "control/address_pool.h"
#include "control/control_fixture.h"

namespace perigee::control {
namespace {

std::vector<sys::IpPrefix> networks(std::initializer_list<std::string_view> texts) {
  std::vector<sys::IpPrefix> out;
  for (const std::string_view text : texts) out.push_back(*sys::IpPrefix::parse(text));
  return out;
}

TEST_CASE("addresses are given from the first that is free, network by network") {
  const auto all = networks({"2001:db8::/64", "203.0.113.0/30", "198.51.100.7/32"});
  CHECK(free_address(all, IpVersion::v4, {}) == "203.0.113.1");
  CHECK(free_address(all, IpVersion::v4, {"203.0.113.1"}) == "203.0.113.2");
  CHECK(free_address(all, IpVersion::v4, {"203.0.113.1", "203.0.113.2"}) == "198.51.100.7");
  CHECK(free_address(all, IpVersion::v6, {"2001:db8::1"}) == "2001:db8::2");
  const auto full =
      free_address(all, IpVersion::v4, {"203.0.113.1", "203.0.113.2", "198.51.100.7"});
  REQUIRE_FALSE(full.has_value());
  CHECK(full.error().context.find("are taken") != std::string::npos);
  const auto none = free_address(networks({"2001:db8::/64"}), IpVersion::v4, {});
  REQUIRE_FALSE(none.has_value());
  CHECK(none.error().context.find("address_prefixes") != std::string::npos);
}

struct PortsFixture : ControlFixture {
  PortsFixture() {
    config.address_prefixes = networks({"203.0.113.0/30", "2001:db8::/64"});
    kill();
    start();
    send(node());
    for (const char* name : {"db", "cache"}) {
      call("POST", "/v1/apps", fmt::format(R"({{"name": "{}"}})", name));
    }
  }
  Got deploy(const std::string& app, const std::string& ports) {
    return call("POST", "/v1/apps/" + app + "/releases",
                fmt::format(R"({{"image": "hello:1", "config": {{"services": [
                    {{"internal_port": 5432, "ports": {}}}]}}}})",
                            ports));
  }
  json::Value route(const std::string& app) { return routes().values.at("/routes/" + app); }
  std::string error_of(const Got& got) { return *got.body.find("error")->string(); }
};

TEST_CASE_FIXTURE(PortsFixture, "an app's addresses are given, told to routers, and given back") {
  const Got first = call("POST", "/v1/apps/db/ip_assignments", R"({"type": "v4"})");
  REQUIRE(first.status == 200);
  CHECK(*first.body.find("ip")->string() == "203.0.113.1");
  CHECK(
      *call("POST", "/v1/apps/db/ip_assignments", R"({"type": "v6"})").body.find("ip")->string() ==
      "2001:db8::1");
  CHECK(route("db").find("addresses")->dump() == R"(["203.0.113.1","2001:db8::1"])");
  CHECK(*call("POST", "/v1/apps/cache/ip_assignments", R"({"type": "v4"})")
             .body.find("ip")
             ->string() == "203.0.113.2");
  CHECK(call("POST", "/v1/apps/cache/ip_assignments", R"({"type": "v4"})").status == 503);
  CHECK(call("POST", "/v1/apps/cache/ip_assignments", R"({"type": "v5"})").status == 400);
  CHECK(call("DELETE", "/v1/apps/cache/ip_assignments/203.0.113.1").status == 404);
  CHECK(call("DELETE", "/v1/apps/db/ip_assignments/203.0.113.1").status == 200);
  CHECK(call("GET", "/v1/apps/db/ip_assignments").body.find("ips")->items().size() == 1);
  CHECK(call("POST", "/v1/apps/cache/ip_assignments", R"({"type": "v4"})").status == 200);
  call("DELETE", "/v1/apps/cache");
  CHECK(call("POST", "/v1/apps/db/ip_assignments", R"({"type": "v4"})").status == 200);
}

TEST_CASE_FIXTURE(PortsFixture, "a port of the nodes' addresses is the first app's that wants it") {
  CHECK(deploy("db", R"([{"port": 5432, "handlers": ["pg_tls"]}])").status == 202);
  CHECK(route("db").find("shared_ports")->dump() == R"(["tcp/5432"])");
  const Got second = deploy("cache", R"([{"start_port": 5430, "end_port": 5435}])");
  CHECK(second.status == 409);
  CHECK(error_of(second).find("port tcp/5432 belongs to app db") != std::string::npos);
  CHECK(error_of(second).find("perigee ips allocate-v4") != std::string::npos);
  CHECK(call("GET", "/v1/apps/cache/releases").body.find("releases")->items().empty());
  // With an address of its own it does without the port there, and has the others.
  CHECK(call("POST", "/v1/apps/cache/ip_assignments", R"({"type": "v4"})").status == 200);
  CHECK(deploy("cache", R"([{"start_port": 5430, "end_port": 5432}])").status == 202);
  CHECK(route("cache").find("shared_ports")->dump() == R"(["tcp/5430","tcp/5431"])");
  call("DELETE", "/v1/apps/db");
  CHECK(deploy("cache", R"([{"port": 5432}])").status == 202);
  // What still runs of the release before keeps its ports until it has gone.
  CHECK(route("cache").find("shared_ports")->dump() == R"(["tcp/5430","tcp/5431","tcp/5432"])");
}

TEST_CASE_FIXTURE(PortsFixture, "machines made by the API claim as deploys do") {
  const auto create = [&](const std::string& app) {
    return call("POST", "/v1/apps/" + app + "/machines",
                R"({"config": {"image": "hello:1", "services": [{"internal_port": 53,
                    "protocol": "udp", "ports": [{"port": 53}]}]}})");
  };
  CHECK(create("db").status == 200);
  CHECK(route("db").find("shared_ports")->dump() == R"(["udp/53"])");
  CHECK(create("cache").status == 409);
  CHECK(create("db").status == 200);
}

TEST_CASE_FIXTURE(PortsFixture, "an address can't be given back while its ports are another's") {
  CHECK(call("POST", "/v1/apps/cache/ip_assignments", R"({"type": "v4"})").status == 200);
  CHECK(deploy("db", R"([{"port": 5432}])").status == 202);
  CHECK(deploy("cache", R"([{"port": 5432}])").status == 202);
  REQUIRE(eventually([&] {
    work();
    return release_status("cache", 1) == "succeeded";
  }));
  const Got kept = call("DELETE", "/v1/apps/cache/ip_assignments/203.0.113.1");
  CHECK(kept.status == 409);
  CHECK(error_of(kept).find("belongs to app db") != std::string::npos);
}

}  // namespace
}  // namespace perigee::control
