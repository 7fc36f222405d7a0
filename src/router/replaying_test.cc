// Requests that are taken elsewhere because an answer says so.
#include "http/upgrade.h"
#include "router/care_fixture.h"

namespace perigee::router {
namespace {

Scripted::Script always(std::string fields) {
  return [fields](const http::RequestHead&, const std::string&) {
    return answer_with({{"perigee-replay", fields}}, "not for the client");
  };
}

TEST_CASE_FIXTURE(CareFixture, "a request is replayed to the machine that an answer names") {
  Scripted& first = start_script("127.0.0.1", always("instance=m2;state=abc"));
  Scripted& second = start_named("m2", "127.0.0.2");
  target("m1", "127.0.0.1");
  target("m2", "127.0.0.2");
  start_all();
  auto head = request_with({{"perigee-prefer-machine", "m1"},
                            {"fly-replay-src", "instance=forged"},
                            {"perigee-replay-src", "instance=forged"}},
                           "/path?q=1");
  head.method = "POST";
  const Reply reply = send(head, "the body");
  CHECK(reply.status == 200);
  CHECK(reply.body == "m2:the body");
  CHECK(reply.headers.find("perigee-replay") == nullptr);
  CHECK(first.requests == 1);
  CHECK(first.header("fly-replay-src").empty());
  CHECK(first.last_body == "the body");
  CHECK(second.last.target == "/path?q=1");
  CHECK(second.last.method == "POST");
  CHECK(second.header("fly-replay-src").starts_with("instance=m1;region=loc;t="));
  CHECK(second.header("fly-replay-src").ends_with(";state=abc"));
  CHECK(second.header("perigee-replay-src") == second.header("fly-replay-src"));
  CHECK(second.last.headers.count("fly-replay-src") == 1);
  CHECK(router->state().counters.replays == 1);
  CHECK(router->state().loads.of("m1") == 0);
}

TEST_CASE_FIXTURE(CareFixture, "over HTTP/2, too, and by a body of JSON") {
  start_script("127.0.0.1", [](const http::RequestHead&, const std::string&) {
    return answer_with({{"Content-Type", "application/vnd.fly.replay+json"}},
                       R"({"instance": "m2", "transform": {"path": "/there"}})");
  });
  Scripted& second = start_named("m2", "127.0.0.2");
  target("m1", "127.0.0.1");
  target("m2", "127.0.0.2");
  start_all();
  const Reply reply = send_http2(request_with({{"fly-prefer-instance-id", "m1"}}, "/here"));
  CHECK(reply.body == "m2:");
  CHECK(second.last.target == "/there");
}

TEST_CASE_FIXTURE(CareFixture, "a request may be taken to another app") {
  start_script("127.0.0.1", always("app=other"));
  Scripted& other = start_named("other", "127.0.0.2");
  target("m1", "127.0.0.1");
  publish();
  model::AppRoute route2 = route;
  route2.app = AppName("other");
  route2.hosts = {};
  route2.targets[0].machine = MachineId("o1");
  route2.targets[0].address = "127.0.0.2";
  feed.lines.insert(
      feed.lines.end() - 1,
      json::object({{"revision", 1}, {"key", "/routes/other"}, {"value", model::to_json(route2)}})
          .dump());
  start_control();
  start_router();
  wait_for_routes();
  CHECK(get().body == "other:");
  CHECK(other.header("host") == "hello.test:8080");
}

TEST_CASE_FIXTURE(CareFixture, "replays in a circle end") {
  Scripted& one = start_script("127.0.0.1", always("elsewhere=true"));
  Scripted& two = start_script("127.0.0.2", always("elsewhere=true"));
  target("m1", "127.0.0.1");
  target("m2", "127.0.0.2");
  start_all();
  const Reply reply = get();
  CHECK(reply.status == 502);
  CHECK(reply.body.find("too_many_replays") != std::string::npos);
  CHECK(reply.body.find("not for the client") == std::string::npos);
  CHECK(one.requests + two.requests == kMaxReplays + 1);
}

TEST_CASE_FIXTURE(CareFixture, "a replay that can't be is answered with the reason") {
  std::string fields;
  start_script("127.0.0.1", [&](const http::RequestHead&, const std::string&) {
    return answer_with({{"fly-replay", fields}});
  });
  target("m1", "127.0.0.1");
  start_all();
  for (const auto& [text, code] :
       std::vector<std::pair<std::string, std::string>>{{"colour=red", "invalid_replay"},
                                                        {"app=nobody", "replay_app_unknown"},
                                                        {"region=syd", "no_machine"},
                                                        {"elsewhere=true", "no_machine"}}) {
    CAPTURE(text);
    fields = text;
    const Reply reply = get();
    CHECK(reply.status >= 502);
    CHECK(reply.body.find(code) != std::string::npos);
  }
}

TEST_CASE_FIXTURE(CareFixture, "a body that is more than is kept can't be replayed") {
  start_script("127.0.0.1", always("state=x"));
  target("m1", "127.0.0.1");
  start_all();
  const Reply small = send({.method = "POST"}, std::string(kMaxReplay / 2, 'x'));
  CHECK(small.body.find("too_many_replays") != std::string::npos);
  const Reply large = send({.method = "POST"}, std::string(kMaxReplay + 1, 'x'));
  CHECK(large.status == 413);
  CHECK(large.body.find("replay_body_too_large") != std::string::npos);
  CHECK(router->state().budgets.used("hello", Resource::kept_bytes) == 0);
}

TEST_CASE_FIXTURE(CareFixture, "a replay that fails falls back to the machine that asked") {
  Scripted& asker =
      start_script("127.0.0.1", [](const http::RequestHead& head, const std::string& body) {
        if (head.headers.find("fly-replay-failed") != nullptr)
          return Answer{.body = "myself:" + body};
        return answer_with({{"fly-replay", "region=syd;timeout=300ms;fallback=force_self"}});
      });
  target("m1", "127.0.0.1");
  start_all();
  const Reply reply = send({.method = "POST"}, "body");
  CHECK(reply.body == "myself:body");
  CHECK(asker.header("perigee-replay-failed") == asker.header("fly-replay-failed"));
  CHECK(
      asker.header("fly-replay-failed").find(";region=syd;replay_source=m1;reason=no_candidate") !=
      std::string::npos);
  CHECK(asker.header("fly-replay-src").empty());
}

TEST_CASE_FIXTURE(CareFixture, "one that came back is not replayed again") {
  start_script("127.0.0.1", always("region=syd;fallback=prefer_self"));
  target("m1", "127.0.0.1");
  start_all();
  CHECK(get().body.find("replay_after_fallback") != std::string::npos);
}

TEST_CASE_FIXTURE(CareFixture, "a WebSocket is opened at the machine that an answer names") {
  start_script("127.0.0.1", always("instance=m2"));
  start_machine("m2", "127.0.0.2");
  target("m1", "127.0.0.1");
  target("m2", "127.0.0.2");
  start_all();
  http::RequestHead head = request_with(
      {{"Host", "hello.test"}, {"Upgrade", "websocket"}, {"perigee-prefer-machine", "m1"}},
      "/socket");
  auto answer = loop().run(http::upgrade(h(), http_address, std::move(head), soon()));
  REQUIRE_MESSAGE(answer.has_value(), answer.error().context);
  CHECK(answer->head.status == 101);
  REQUIRE(answer->stream != nullptr);
  std::array<char, 100> buffer{};
  const auto count = loop().run(answer->stream->read(buffer));
  REQUIRE(count.has_value());
  CHECK(std::string_view(buffer.data(), *count) == "m2:");
}

TEST_CASE_FIXTURE(CareFleet, "a machine of another node may ask for one of a third") {
  Scripted& asker = start_script(ip_of(2), always("region=syd;state=far"));
  Scripted& taker = start_named("m3", ip_of(3));
  place("m2", 2);
  place("m3", 3);
  route.targets[0].region = RegionCode("r02");
  route.targets[1].region = RegionCode("syd");
  start_fleet();
  auto head = request_with({{"perigee-prefer-machine", "m2"}});
  head.method = "POST";
  const std::string body(200'000, 'b');
  CHECK(send(std::move(head), body).body == "m3:" + body);
  CHECK(asker.requests == 1);
  CHECK(taker.header("fly-replay-src").starts_with("instance=m2;region=r02;t="));
}

}  // namespace
}  // namespace perigee::router
