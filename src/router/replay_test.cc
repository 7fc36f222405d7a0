// Answers that have their request taken elsewhere: what they say.
#include "router/replay.h"

#include <doctest/doctest.h>

#include "router/limits.h"

namespace perigee::router {
namespace {

TEST_CASE("a replay's fields are read under fly-replay's rules") {
  const auto replay =
      parse_replay(R"(app=other; region="syd,sin" ;instance=abc;state="a;b=c";elsewhere=true;)"
                   "timeout=800ms;fallback=prefer_self");
  REQUIRE_MESSAGE(replay.has_value(), (replay ? "" : replay.error().context));
  CHECK(replay->app == "other");
  CHECK(replay->wish.regions == std::vector{RegionCode("syd"), RegionCode("sin")});
  CHECK(replay->wish.regions_only);
  CHECK(replay->wish.machine == MachineId("abc"));
  CHECK(replay->wish.machine_only);
  CHECK(replay->state == "a;b=c");
  CHECK(replay->elsewhere);
  CHECK(replay->timeout == 800ms);
  CHECK(replay->fallback == ReplayFallback::prefer_self);
  CHECK_FALSE(parse_replay("prefer_instance=abc")->wish.machine_only);
  CHECK(parse_replay("fallback=force_self")->fallback == ReplayFallback::force_self);
  CHECK(parse_replay("region=syd")->wish.regions == std::vector{RegionCode("syd")});
  CHECK(parse_replay("")->wish.empty());
}

TEST_CASE("regions may be parts of the world, and any of them") {
  const auto eu = parse_replay("region=eu");
  REQUIRE(eu.has_value());
  CHECK(eu->wish.regions.size() > 5);
  CHECK(eu->wish.regions_alike);
  CHECK(eu->wish.regions_only);
  const auto any = parse_replay(R"(region="syd,any")");
  REQUIRE(any.has_value());
  CHECK(any->wish.regions == std::vector{RegionCode("syd")});
  CHECK_FALSE(any->wish.regions_only);
  CHECK(parse_replay("region=any")->wish.empty());
}

TEST_CASE("a replay that makes no sense says what is wrong with it") {
  const std::string long_state(kMaxReplayState + 1, 'x');
  for (const auto& [text, complaint] : std::vector<std::pair<std::string, std::string>>{
           {"region", "'region' has no '='"},
           {"region=", "region: "},
           {"region=Sydney", "region: "},
           {"app=Not An App", "app: "},
           {"instance=", "instance: "},
           {"elsewhere=maybe", "elsewhere: 'maybe' is not true or false"},
           {"timeout=soon", "timeout: "},
           {"timeout=0s", "timeout: '0s' is not above 0"},
           {"timeout=2h", "timeout: '2h' is not above 0 and at most 60 s"},
           {"fallback=never", "fallback: 'never' is not one of prefer_self, force_self"},
           {"state=" + long_state, "state: more than 4096 bytes"},
           {"colour=red", "colour: there is no such field"}}) {
    CAPTURE(text);
    const auto replay = parse_replay(text);
    REQUIRE_FALSE(replay.has_value());
    CHECK(replay.error().context.find(complaint) != std::string::npos);
  }
}

TEST_CASE("in JSON a replay may change the request's head") {
  const auto replay = parse_replay_json(R"({"app": "other", "region": ["syd", "sin"],
      "elsewhere": true, "transform": {"path": "/moved",
      "delete_headers": ["Authorization"], "set_headers": [{"name": "X-Tenant", "value": "7"}]}})");
  REQUIRE_MESSAGE(replay.has_value(), (replay ? "" : replay.error().context));
  CHECK(replay->app == "other");
  CHECK(replay->wish.regions.size() == 2);
  CHECK(replay->elsewhere);
  http::RequestHead head{.target = "/was?a=1"};
  head.headers.add("Authorization", "secret");
  head.headers.add("x-tenant", "6");
  apply(replay->transform, head);
  CHECK(head.target == "/moved?a=1");
  CHECK(head.headers.find("authorization") == nullptr);
  CHECK(*head.headers.find("x-tenant") == "7");
  CHECK(head.headers.count("x-tenant") == 1);
  apply({.path = "/own?b=2"}, head);
  CHECK(head.target == "/own?b=2");
}

TEST_CASE("what a router vouches for, or frames a message by, is no replay's to change") {
  for (const std::string& text :
       {std::string(R"({"transform": {"path": "relative"}})"),
        std::string("{\"transform\": {\"path\": \"/a b\"}}"),
        std::string(R"({"transform": {"delete_headers": ["Host"]}})"),
        std::string(R"({"transform": {"set_headers": [{"name": "Fly-Client-IP", "value": "1"}]}})"),
        std::string(
            R"({"transform": {"set_headers": [{"name": "Content-Length", "value": "1"}]}})"),
        std::string(
            "{\"transform\": {\"set_headers\": [{\"name\": \"a\", \"value\": \"b\\r\\nc: d\"}]}}"),
        std::string(R"({"transform": {"set_headers": [{"name": "a b", "value": "c"}]}})"),
        std::string(R"({"cache": {"ttl": 10}})"), std::string(R"({"region": 7})"),
        std::string("[]"), std::string("no json")}) {
    CAPTURE(text);
    CHECK_FALSE(parse_replay_json(text).has_value());
  }
}

TEST_CASE("an answer asks for a replay by either header, or by its media type") {
  http::ResponseHead head;
  CHECK_FALSE(asks_for_replay(head));
  head.headers.add("Content-Type", "application/vnd.fly.replay+json; charset=utf-8");
  CHECK(asks_for_replay(head));
  CHECK(is_replay_body(head));
  head.headers.add("fly-replay", "app=theirs");
  CHECK_FALSE(is_replay_body(head));
  CHECK(replay_of(head, "")->app == "theirs");
  head.headers.add("perigee-replay", "app=ours");
  CHECK(replay_of(head, "")->app == "ours");
}

}  // namespace
}  // namespace perigee::router
