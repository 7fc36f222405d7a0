// What a router says of its choices is what it did.
#include <map>

#include "router/candidates.h"
#include "router/decisions.h"
#include "router/test_fixture.h"

namespace perigee::router {
namespace {

struct ExplainFixture : Fixture {
  json::Value explain(const std::string& what, int expected = 200) {
    auto reply = loop().run(ask(status_address, {.target = "/internal/v1/explain" + what}, {}));
    REQUIRE(reply.has_value());
    CHECK(reply->status == expected);
    return json::parse(reply->body).value_or(json::Value());
  }
};

TEST_CASE_FIXTURE(ExplainFixture, "each request's explanation names the machine that answered it") {
  start_machine("m1", "127.0.0.2");
  start_machine("m2", "127.0.0.3");
  target("m1", "127.0.0.2");
  target("m2", "127.0.0.3");
  start_all();
  std::map<std::string, int> served;
  for (int i = 0; i < 50; ++i) {
    const Reply reply = get();
    REQUIRE(reply.status == 200);
    const std::string machine = reply.body.substr(0, reply.body.find(':'));
    ++served[machine];
    const json::Value told = explain("/" + reply.header("perigee-request-id"));
    CHECK(told.require_string("chosen") == machine);
    CHECK(told.require_string("app") == std::string("hello"));
    REQUIRE(told.find("candidates")->items().size() == 2);
    for (const json::Value& each : told.find("candidates")->items()) {
      const bool chosen = each.require_string("machine") == machine;
      CHECK(each.optional_bool("chosen", !chosen) == chosen);
      CHECK(each.require_string("why") ==
            std::string(chosen ? "its turn" : "it was another's turn"));
    }
  }
  CHECK(served.size() == 2);
  explain("/nothing", 404);
}

TEST_CASE_FIXTURE(ExplainFixture, "where a request would go is told without sending one") {
  Machine& machine = start_machine("m1", "127.0.0.2");
  target("m1", "127.0.0.2");
  target("m2", "127.0.0.3", model::MachineState::stopped);
  start_all();
  const json::Value told = explain("?host=HELLO.test:80");
  CHECK(told.require_string("chosen") == std::string("m1"));
  CHECK(told.find("candidates")->items()[1].require_string("why") == std::string("not started"));
  CHECK(machine.requests == 0);
  explain("?host=other.test", 404);
  explain("", 404);
}

TEST_CASE_FIXTURE(ExplainFixture, "a request that insists on another machine is answered 503") {
  start_machine("m1", "127.0.0.2");
  target("m1", "127.0.0.2");
  start_all();
  http::RequestHead head{.target = "/"};
  head.headers.add("fly-force-instance-id", "m9");
  const auto reply = loop().run(ask(http_address, head, {}));
  REQUIRE(reply.has_value());
  CHECK(reply->status == 503);
  head.headers.set("fly-force-instance-id", "m1");
  CHECK(loop().run(ask(http_address, head, {}))->status == 200);
}

TEST_CASE("wishes are read from both families of headers, within bounds") {
  http::Headers headers;
  CHECK(wish_of(headers).empty());
  headers.add("fly-prefer-region", "syd, sin,nonsense,,fra");
  routing::Wish wish = wish_of(headers);
  CHECK(wish.regions == std::vector{RegionCode("syd"), RegionCode("sin"), RegionCode("fra")});
  CHECK_FALSE(wish.regions_only);
  headers.add("perigee-force-region", "iad");
  wish = wish_of(headers);
  CHECK(wish.regions == std::vector{RegionCode("iad")});
  CHECK(wish.regions_only);
  headers.add("perigee-prefer-machine", "m1");
  CHECK(wish_of(headers).machine == MachineId("m1"));
  CHECK_FALSE(wish_of(headers).machine_only);
  std::string many;
  for (int i = 0; i < 100; ++i) many += "syd,";
  headers.set("perigee-force-region", many);
  CHECK(wish_of(headers).regions.size() == kMaxWishedRegions);
}

TEST_CASE("old decisions make room for new ones") {
  Decisions decisions;
  for (std::size_t i = 0; i < kRememberedDecisions + 10; ++i) {
    Choice choice;
    choice.request_id = fmt::format("r{}", i);
    decisions.remember(std::move(choice));
  }
  CHECK(decisions.find("r9") == nullptr);
  CHECK(decisions.find("r10") != nullptr);
  CHECK(decisions.find(fmt::format("r{}", kRememberedDecisions + 9)) != nullptr);
}

TEST_CASE("a request that is given to one machine after another takes no other's place") {
  Decisions decisions;
  decisions.remember({.request_id = "first"});
  for (int attempt = 1; attempt <= static_cast<int>(kRememberedDecisions) + 1; ++attempt) {
    decisions.replace({.request_id = "second", .attempt = attempt});
  }
  CHECK(decisions.find("first") != nullptr);
  REQUIRE(decisions.find("second") != nullptr);
  CHECK(decisions.find("second")->attempt == static_cast<int>(kRememberedDecisions) + 1);
}

}  // namespace
}  // namespace perigee::router
