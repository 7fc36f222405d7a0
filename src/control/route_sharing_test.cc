// What one control drains, none of a fleet's shows to its routers.
#include <doctest/doctest.h>

#include "control/peers_fixture.h"

namespace perigee::control {
namespace {

constexpr const char* kShare = "/internal/v1/routes/share";

struct Fixture : PeersFixture {
  Fixture() {
    link.answers[kShare] = R"({"epoch": "other", "revision": 7})";
    REQUIRE(report("n3", "n3") == 204);
    REQUIRE(call("POST", "/v1/apps", R"({"app_name": "hello"})").status == 201);
    REQUIRE(call("POST", "/v1/apps/hello/releases", kHello).status == 202);
    REQUIRE(eventually([&] {
      work();
      return release_status("hello", 1) == "succeeded";
    }));
    machine = *machines("hello").items().front().require_string("id");
  }
  // n2's control tells of its drains.
  Got told(int sequence, const std::string& machines, const char* epoch = "other") {
    const std::string body =
        fmt::format(R"({{"epoch": "{}", "sequence": {}, "store_revision": 0, "machines": [{}]}})",
                    epoch, sequence, machines);
    return ask_as("n2", "daemon", request("POST", kShare), body);
  }
  std::string draining(bool leaving) const {
    return fmt::format(R"({{"machine": "{}", "leaving": {}}})", machine, leaving);
  }
  // The state that routers are told of the machine; empty: they are not told of it.
  std::string shown() {
    const json::Value route = routes().values.at("/routes/hello");
    for (const json::Value& target : route.find("targets")->items())
      if (*target.require_string("machine") == machine) return *target.require_string("state");
    return "";
  }
  std::string machine;
};

TEST_CASE_FIXTURE(Fixture,
                  "what another control drains is not shown as started, until it says so") {
  REQUIRE(shown() == "started");
  const Got got = told(1, draining(false));
  REQUIRE_MESSAGE(got.status == 200, got.text);
  CHECK(*got.body.require_string("epoch") == routes().epoch);
  CHECK(*got.body.require_int("revision") == routes().revision);
  CHECK(shown() == "stopping");
  CHECK(told(2, draining(true)).status == 200);
  CHECK(shown().empty());
  CHECK(told(3, "").status == 200);
  CHECK(shown() == "started");
}

TEST_CASE_FIXTURE(Fixture,
                  "a word that was overtaken counts for nothing, one of a new process does") {
  CHECK(told(5, "").status == 200);
  CHECK(told(4, draining(true)).status == 200);
  CHECK(shown() == "started");
  CHECK(told(1, draining(true), "restarted").status == 200);
  CHECK(shown().empty());
}

TEST_CASE_FIXTURE(Fixture, "a control that is silent drains no more after a while") {
  CHECK(told(1, draining(false)).status == 200);
  CHECK(shown() == "stopping");
  CHECK(eventually([&] { return shown() == "started"; }));
}

TEST_CASE_FIXTURE(Fixture, "only controls say what they drain") {
  const std::string body = R"({"epoch": "x", "sequence": 1, "machines": []})";
  CHECK(ask_as("n3", "daemon", request("POST", kShare), body).status == 403);
  CHECK(ask_as("n2", "daemon", request("POST", kShare), "{}").status == 400);
}

TEST_CASE_FIXTURE(Fixture,
                  "a request for a machine that another control drains is that one's to keep") {
  const std::string wake = "/internal/v1/apps/hello/wake?region=iad";
  link.answers[wake] = R"({"machine": "abc"})";
  CHECK(told(1, draining(false)).status == 200);
  const Got got = ask_as("n3", "router", request("POST", wake));
  REQUIRE_MESSAGE(got.status == 200, got.text);
  CHECK(*got.body.require_string("machine") == "abc");
}

TEST_CASE_FIXTURE(Fixture,
                  "a deploy waits for the routers of every control, and tells of its end") {
  const auto shares = [&] {
    return std::ranges::count(link.carried, std::string(kShare) + " to n2");
  };
  const auto before = shares();
  CHECK(before > 0);
  REQUIRE(call("POST", "/v1/apps/hello/releases", kHello).status == 202);
  REQUIRE(eventually([&] {
    work();
    return release_status("hello", 2) == "succeeded";
  }));
  CHECK(shares() >= before + 2);  // the switch, and "done"
}

}  // namespace
}  // namespace perigee::control
