// What control gives an app's machines so that they find and recognise each other.
#include <doctest/doctest.h>

#include "control/control_fixture.h"
#include "control/feed_client.h"
#include "mesh/address_plan.h"
#include "model/names.h"

namespace perigee::control {
namespace {

constexpr const char* kFleetPrefix = "fd12:3456:789a";

struct Fixture : ControlFixture {
  Fixture() {
    send(node());
    REQUIRE(call("POST", "/v1/apps", R"({"app_name": "hello"})").status == 201);
  }
  void put(const std::string& key, const json::Value& value) {
    store::Transaction transaction;
    transaction.put(key, value.dump());
    REQUIRE(loop().run(store.commit(std::move(transaction))).has_value());
  }
  void join_fleet() {
    FleetRecord fleet;
    fleet.prefix = kFleetPrefix;
    put(std::string(kFleetKey), to_json(fleet));
    NodeRecord record;
    record.membership = model::Membership();
    record.membership->index = 5;
    record.membership->mesh_address = "fd12:3456:789a::5";
    put(node_key(NodeId("n1")), to_json(record));
  }
  std::uint32_t number_of(const std::string& app) {
    const auto entry = loop().run(store.get(app_key(AppName(app))));
    return model::app_from(*json::parse((*entry)->value))->number;
  }
  bool deployed() {
    if (call("POST", "/v1/apps/hello/releases", kHello).status != 202) return false;
    return eventually([&] { return machines("hello").items().size() == 1; });
  }
  std::size_t numbers_given() { return loop().run(store.list("/app-numbers/"))->entries.size(); }
};

TEST_CASE_FIXTURE(Fixture, "each app has a number of its own, which goes with it") {
  REQUIRE(call("POST", "/v1/apps", R"({"app_name": "other"})").status == 201);
  CHECK(number_of("hello") != 0);
  CHECK(number_of("hello") != number_of("other"));
  CHECK(numbers_given() == 2);
  CHECK(call("DELETE", "/v1/apps/other").status == 202);
  CHECK(numbers_given() == 1);
}

TEST_CASE_FIXTURE(Fixture, "an app of a version that gave no numbers gets one") {
  model::App old{.name = AppName("old"), .id = "o", .created_at = {}};
  put(app_key(old.name), model::to_json(old));
  CHECK(eventually([&] { return number_of("old") != 0; }));
  CHECK(numbers_given() == 2);
}

TEST_CASE_FIXTURE(Fixture, "a machine is told its app's network once its node is in a fleet") {
  REQUIRE(deployed());
  FeedClient feed(*this, "/internal/v1/feed/node/n1");
  CHECK(eventually([&] { return feed.has("\"synced\":true"); }));
  CHECK_FALSE(feed.has("private_network"));
  join_fleet();
  const mesh::AppNetwork network(*mesh::FleetPrefix::parse("fd12:3456:789a::/48"),
                                 *mesh::NodeIndex::make(5), number_of("hello"));
  CHECK(eventually(
      [&] { return feed.has(fmt::format("\"private_network\":\"{}\"", network.str())); }));
}

TEST_CASE_FIXTURE(Fixture, "a node is told where the running machines of its apps are") {
  REQUIRE(call("POST", "/v1/apps", R"({"app_name": "elsewhere"})").status == 201);
  REQUIRE(deployed());
  FeedClient feed(*this, "/internal/v1/feed/node/n1");
  FeedClient other(*this, "/internal/v1/feed/node/n2");
  CHECK(eventually([&] { return other.has("\"synced\":true"); }));
  work([](const model::Machine&, model::MachineStatus& status) {
    status.private_ip6 = "fd12:3456:789a:5:0:7:ac9:2";
  });
  CHECK(eventually([&] {
    return feed.has(R"("key":"/names/hello","value":{"app":"hello","machines":[{"id":")") &&
           feed.has(R"("address":"fd12:3456:789a:5:0:7:ac9:2"})");
  }));
  CHECK_FALSE(feed.has("/names/elsewhere"));
  CHECK_FALSE(other.has("/names/hello"));
  work([](const model::Machine&, model::MachineStatus& status) {
    status.private_ip6 = "fd12:3456:789a:5:0:7:ac9:2";
    status.state = model::MachineState::stopped;
  });
  CHECK(eventually([&] { return feed.has(R"("value":{"app":"hello","machines":[]})"); }));
}

TEST_CASE("an app's names survive a round trip") {
  const model::AppNames names{.app = AppName("hello"),
                              .machines = {{MachineId("m1"), RegionCode("fra"), "fd00::1"},
                                           {MachineId("m2"), RegionCode("syd"), "fd00::2"}}};
  CHECK(model::app_names_from(model::to_json(names)) == names);
  CHECK_FALSE(model::app_names_from(*json::parse(R"({"app":"x","machines":[{}]})")).has_value());
}

}  // namespace
}  // namespace perigee::control
