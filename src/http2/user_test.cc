// Users' connections against a ServerConnection: what they may do, what ends them, and by which
// code (docs/decisions/0030-http2.md). What RFC 9113 demands, row by row, is in rfc9113_test.cc.
#include <functional>

#include "http2/user_test_fixture.h"

namespace perigee::http2 {
namespace {

std::string many(std::size_t count, const std::function<std::string(std::uint32_t)>& make) {
  std::string all;
  for (std::uint32_t i = 0; i < count; ++i) all += make(i);
  return all;
}

// In as many frames as it takes.
std::string long_request(std::uint32_t stream, const Fields& fields) {
  constexpr std::size_t kPart = 16'000;
  const std::string all = block(fields);
  std::string frames = frame(kHeaders, kEndStream, stream, all.substr(0, kPart));
  for (std::size_t at = kPart; at < all.size(); at += kPart) {
    frames += frame(kContinuation, 0, stream, all.substr(at, kPart));
  }
  return frames + frame(kContinuation, kEndHeaders, stream);
}

TEST_CASE("a user's request is answered") {
  RawUser user;
  user.send(request(1, get("/hello", {{"cookie", "a=1"}, {"cookie", "b=2"}})));
  user.wait();
  CHECK(user.answered(1));
  CHECK(user.body(1) == "0");
  CHECK(*user.handler.last.headers.find("host") == "a.test");
  CHECK(*user.handler.last.headers.find("cookie") == "a=1; b=2");
  CHECK(user.handler.last.major_version == 2);
  CHECK_FALSE(user.goaway().has_value());
}

TEST_CASE("a body that does not have its length is not seen as whole") {
  for (const char* sent : {"1234", "123456"}) {
    CAPTURE(sent);
    RawUser user;
    Fields fields = get("/echo", {{"content-length", "5"}});
    fields[0].second = "POST";
    user.send(request(1, fields, kEndHeaders) + frame(kData, kEndStream, 1, sent));
    user.wait();
    CHECK(user.reset(1) == ErrorCode::protocol_error);
    CHECK_FALSE(user.answered(1));
  }
}

TEST_CASE("what is well-formed and not done here is answered") {
  RawUser user;
  user.send(request(1, {{":method", "CONNECT"}, {":authority", "a.test:443"}}));
  user.send(long_request(3, get("/" + std::string(http::kMaxTargetBytes, 'x'))) +
            long_request(5, get("/", {{"x-long", std::string(kMaxHeaderBytes, 'v')}})));
  user.wait();
  for (const std::uint32_t stream : {1U, 3U, 5U}) CHECK(user.answered(stream));
  CHECK(user.handler.requests == 0);
  CHECK(user.refusals.of(Refusal::large_head) == 1);
  user.send(request(7, get("/")));
  user.wait();
  CHECK(user.body(7) == "0");
}

TEST_CASE("a head that stands for far more than it is ends its connection") {
  RawUser user;
  const std::string value(120, 'x');
  const std::string indexed =
      "\x40\x04"
      "bomb" +
      std::string(1, '\x78') + value;        // RFC 7541, 6.2.1
  const std::string repeated(4000, '\xbe');  // that field again (6.1)
  user.send(frame(kHeaders, kEndHeaders | kEndStream, 1, block(get("/")) + indexed + repeated));
  user.wait();
  CHECK_FALSE(user.answered(1));
  CHECK(user.goaway().has_value());
  CHECK(user.handler.requests == 0);
}

TEST_CASE("an extended CONNECT becomes a stream of another protocol (RFC 8441)") {
  const Fields websocket{{":method", "CONNECT"}, {":protocol", "websocket"},
                         {":scheme", "https"},   {":authority", "a.test"},
                         {":path", "/socket"},   {"sec-websocket-version", "13"}};
  RawUser user;
  user.wait();
  CHECK(user.frames().front().payload.find(std::string("\0\x08\0\0\0\1", 6)) != std::string::npos);
  user.send(request(1, websocket, kEndHeaders) + frame(kData, 0, 1, "hello"));
  user.wait();
  CHECK(user.handler.last.method == "GET");
  CHECK(*user.handler.last.headers.find("upgrade") == "websocket");
  CHECK(user.body(1) == "hello");
  CHECK_FALSE(user.answered(1));
  user.send(frame(kData, kEndStream, 1, " again"));
  user.wait();
  CHECK(user.body(1) == "hello again");
  CHECK(user.answered(1));
  Fields other = websocket;
  other[1].second = "connect-udp";
  user.send(request(3, other, kEndHeaders));
  user.wait();
  CHECK(user.answered(3));
  CHECK(user.handler.requests == 1);
}

TEST_CASE("Expect: 100-continue is answered when the body is wanted") {
  RawUser user;
  Fields fields = get("/count", {{"expect", "100-continue"}, {"content-length", "4"}});
  fields[0].second = "POST";
  user.send(request(1, fields, kEndHeaders));
  user.wait();
  CHECK(user.count(kHeaders) == 1);
  CHECK_FALSE(user.answered(1));
  user.send(frame(kData, kEndStream, 1, "body"));
  user.wait();
  CHECK(user.body(1) == "4");
}

TEST_CASE("floods end the connection by ENHANCE_YOUR_CALM") {
  struct Flood {
    std::string name;
    std::string bytes;
    Refusal refusal;
  };
  const FrameLimits& limits = kUserFrames;
  const auto odd = [](std::uint32_t i) { return 2 * i + 1; };
  const std::vector<Flood> floods{
      {"rapid reset (CVE-2023-44487)",
       many(limits.resets.burst + 1,
            [&](std::uint32_t i) {
              return request(odd(i), get("/hold")) + frame(kReset, 0, odd(i), word(8));
            }),
       Refusal::resets},
      {"pings",
       many(limits.pings.burst + 1, [&](auto) { return frame(kPing, 0, 0, word(0) + word(0)); }),
       Refusal::pings},
      {"settings", many(limits.settings.burst + 1, [](auto) { return frame(kSettings, 0, 0); }),
       Refusal::settings},
      {"empty data",
       request(1, get("/hold"), kEndHeaders) +
           many(limits.empty.burst + 1, [](auto) { return frame(kData, 0, 1); }),
       Refusal::empty_frames},
      {"priorities",
       many(limits.others.burst + 1, [&](auto) { return frame(kPriority, 0, 1, word(0) + "\1"); }),
       Refusal::other_frames},
      {"window updates",
       many(limits.window_updates.burst + 1,
            [&](auto) { return frame(kWindowUpdate, 0, 0, word(1)); }),
       Refusal::window_updates},
      {"continuations",
       frame(kHeaders, kEndStream, 1, block(get("/"))) +
           many(limits.continuations + 1,
                [](auto) { return frame(kContinuation, 0, 1, block({{"x", "y"}})); }),
       Refusal::continuations},
      {"a head without end",
       frame(kHeaders, 0, 1, block(get("/"))) +
           many(9,
                [](auto) {
                  return frame(kContinuation, 0, 1, block({{"x", std::string(16'000, 'y')}}));
                }),
       Refusal::head_bytes},
  };
  for (const Flood& flood : floods) {
    CAPTURE(flood.name);
    RawUser user;
    user.send(flood.bytes);
    user.wait(100ms);
    user.send(frame(kPing, 1, 0, word(0) + word(0)));
    user.wait(3s);
    CHECK(user.goaway() == ErrorCode::enhance_your_calm);
    CHECK(user.closed);
    CHECK(user.refusals.of(flood.refusal) == 1);
    CHECK(user.refusals.of(Refusal::protocol) == 0);
  }
}

TEST_CASE("so do mistakes that we answer by resets (CVE-2025-8671)") {
  RawUser user;
  const std::uint32_t half = kUserFrames.errors.burst / 2 + 1;
  for (std::uint32_t first : {0U, half}) {
    user.send(many(half, [&](std::uint32_t i) {
      return request(2 * (first + i) + 1, get("/", {{"connection", "x"}}));
    }));
    user.wait(100ms);
  }
  user.send(frame(kPing, 1, 0, word(0) + word(0)));
  user.wait(3s);
  CHECK(user.goaway() == ErrorCode::enhance_your_calm);
  CHECK(user.closed);
  CHECK(user.refusals.of(Refusal::errors) == 1);
}

TEST_CASE("so do streams beyond those that are allowed, though many are borne at first") {
  RawUser user;
  const std::uint32_t borne = kFromUsers.max_streams + kUserFrames.refused.burst;
  for (std::uint32_t first = 0; first < borne; first += 100) {
    user.send(
        many(100, [&](std::uint32_t i) { return request(2 * (first + i) + 1, get("/hold")); }));
  }
  user.wait(100ms);
  CHECK_FALSE(user.goaway().has_value());
  user.send(many(200, [&](std::uint32_t i) { return request(2 * (borne + i) + 1, get("/hold")); }));
  user.wait(100ms);
  user.send(frame(kPing, 1, 0, word(0) + word(0)));
  user.wait(3s);
  CHECK(user.goaway() == ErrorCode::enhance_your_calm);
  CHECK(user.closed);
  CHECK(user.refusals.of(Refusal::errors) == 1);
}

TEST_CASE("no more requests run at once than streams are allowed, reset or not") {
  RawUser user;
  std::string bytes;
  for (std::uint32_t i = 0; i < kFromUsers.max_streams + 50; ++i) {
    bytes += request(2 * i + 1, get("/hold"));
  }
  user.send(bytes);
  user.wait();
  CHECK(user.handler.requests == static_cast<int>(kFromUsers.max_streams));
  CHECK(user.reset(2 * kFromUsers.max_streams + 1) == ErrorCode::refused_stream);
}

TEST_CASE("a head that does not end, and a preface that does not come, have a time") {
  RawUser user;
  user.send(frame(kHeaders, kEndStream, 1, block(get("/"))));
  user.wait(user.context.limits.head_timeout - 1s);
  CHECK_FALSE(user.goaway().has_value());
  user.wait(2s + 2 * kUserWatch);
  CHECK(user.goaway() == ErrorCode::enhance_your_calm);
  CHECK(user.closed);
  CHECK(user.refusals.of(Refusal::slow_head) == 1);
}

TEST_CASE("a connection without requests ends by itself, without blame") {
  RawUser user;
  user.send(request(1, get("/hello")));
  user.wait(user.context.limits.idle_timeout - 1s);
  CHECK_FALSE(user.goaway().has_value());
  user.wait(3s + 2 * kUserWatch);
  CHECK(user.goaway() == ErrorCode::none);
  CHECK(user.closed);
}

TEST_CASE("a user with a request who shows no sign of life is asked, then taken for gone") {
  RawUser user;
  user.send(request(1, get("/hold")));
  user.wait(kUserPing - 1s);
  CHECK(user.count(kPing) == 0);
  user.wait(1s + 2 * kUserWatch);
  CHECK(user.count(kPing) >= 1);
  user.send(frame(kPing, 1, 0, word(0) + word(0)));
  user.wait(kUserPing);
  CHECK_FALSE(user.closed);
  user.wait(kUserSilence);
  CHECK(user.closed);
  CHECK(user.refusals.of(Refusal::silence) == 1);
  CHECK(user.handler.cancelled == 1);
}

// Time passes, with signs of life.
void live_on(RawUser& user, Duration time) {
  for (const MonotonicTime end = user.loop().now() + time; user.loop().now() < end;) {
    user.send(frame(kPing, 0, 0, word(0) + word(0)));
    user.wait(5s);
  }
}

TEST_CASE("a stream whose client takes nothing of it is given up, and the others go on") {
  RawUser user;
  user.send(frame(kWindowUpdate, 0, 0, word(1'000'000)) + request(1, get("/bytes/10000000")));
  live_on(user, user.context.limits.write_timeout - 5s);
  CHECK(user.body(1).size() == 65'535);  // as RFC 9113 has a stream begin
  CHECK_FALSE(user.reset(1).has_value());
  live_on(user, 10s);
  CHECK(user.reset(1) == ErrorCode::cancel);
  CHECK(user.refusals.of(Refusal::slow_reader) == 1);
  user.send(request(3, get("/hello")));
  user.wait();
  CHECK(user.answered(3));
}

TEST_CASE("who takes nothing of what is left of his answers is not waited for") {
  RawUser user;
  user.send(request(1, get("/bytes/100000")));  // all of it fits into what is kept
  live_on(user, user.context.limits.write_timeout - 5s);
  CHECK_FALSE(user.closed);
  live_on(user, 10s + 2 * kUserWatch);
  CHECK(user.goaway() == ErrorCode::enhance_your_calm);
  CHECK(user.closed);
  CHECK(user.refusals.of(Refusal::slow_reader) == 1);
}

TEST_CASE("who does not even take bytes from the network is not waited for") {
  RawUser user;
  user.deaf = true;
  user.send(frame(kSettings, 0, 0, std::string("\0\4", 2) + word(0x7fffffff)) +
            frame(kWindowUpdate, 0, 0, word(0x70000000)) + request(1, get("/bytes/100000000")));
  live_on(user, user.context.limits.write_timeout + 10s + 2 * kUserWatch);
  CHECK(user.refusals.of(Refusal::slow_reader) >= 1);
  CHECK(user.server->streams() == 0);
}

TEST_CASE("a body that does not go on has a time, but for gRPC, whose calls may rest") {
  for (const bool grpc : {false, true}) {
    CAPTURE(grpc);
    RawUser user;
    Fields fields =
        get("/count", {{"content-type", grpc ? "application/grpc" : "application/octet-stream"}});
    fields[0].second = "POST";
    user.send(request(1, fields, kEndHeaders) + frame(kData, 0, 1, "some"));
    live_on(user, user.context.limits.body_timeout + 10s);
    CHECK(user.answered(1) == !grpc);  // 500: the handler has nothing to say
    user.send(frame(kData, kEndStream, 1, "more"));
    user.wait();
    if (grpc) CHECK(user.body(1) == "8");
  }
}

TEST_CASE("many answers that nobody takes are held in bounded memory") {
  RawUser user;
  std::string bytes;
  for (std::uint32_t i = 0; i < kFromUsers.max_streams; ++i) {
    bytes += request(2 * i + 1, get("/bytes/1000000"));
  }
  user.send(bytes);
  user.wait(5s);
  CHECK(user.server->unsent() > kFromUsers.send_pressure / 2);
  CHECK(user.server->unsent() <= kFromUsers.send_pressure + kFromUsers.send_buffer +
                                     kFromUsers.max_streams * kFromUsers.least_send_buffer);
}

TEST_CASE("what a user sends and nobody reads is bounded by the connection's window") {
  RawUser user;
  std::string bytes;
  for (std::uint32_t i = 0; i < kFromUsers.max_streams; ++i) {
    Fields fields = get("/hold");
    fields[0].second = "POST";
    bytes += request(2 * i + 1, fields, kEndHeaders);
    for (int k = 0; k < 4; ++k) bytes += frame(kData, 0, 2 * i + 1, std::string(16'000, 'x'));
  }
  user.send(bytes);
  user.wait(5s);
  CHECK(user.goaway() == ErrorCode::flow_control_error);
}

TEST_CASE("a drain tells users first, serves what came before, then ends") {
  RawUser user;
  user.send(request(1, get("/hold")));
  user.wait();
  user.context.draining.set();
  user.wait(kDrainNotice / 2);
  CHECK(user.goaway() == ErrorCode::none);
  CHECK(user.frames().back().word(0) == 0x7fffffff);
  user.send(request(3, get("/hello")));
  user.wait(kDrainNotice);
  CHECK(user.answered(3));
  CHECK(user.count(kGoaway) == 2);
  CHECK_FALSE(user.closed);
  user.handler.release.set();
  user.wait();
  CHECK(user.answered(1));
  CHECK(user.closed);
}

TEST_CASE("a user who resets a stream cancels its request") {
  RawUser user;
  user.send(request(1, get("/hold")));
  user.wait();
  user.send(frame(kReset, 0, 1, word(8)));
  user.wait();
  CHECK(user.handler.cancelled == 1);
  CHECK_FALSE(user.closed);
}

TEST_CASE("the same seed gives the same course, limits and all") {
  const auto course = [] {
    RawUser user({.delay = 20ms, .jitter = 5ms, .loss_per_mille = 10});
    user.send(request(1, get("/bytes/60000")));
    user.wait(60s);
    return user.simulation.trace().hash();
  };
  CHECK(course() == course());
}

}  // namespace
}  // namespace perigee::http2
