// HTTP/2's requirements of an intermediary, a row for each MUST of RFC 9113 that concerns one,
// named by its section: frames of a user against a ServerConnection, frames of an app against a
// router's Connection to it. nghttp2 keeps most of them; these tests are that we let it.
#include <variant>

#include "http2/user_test_fixture.h"

namespace perigee::http2 {
namespace {

const std::string kPingFrame = frame(kPing, 0, 0, "12345678");
const std::string kFirst = std::string(kPreface) + frame(kSettings, 0, 0);

std::string setting(std::uint16_t name, std::uint32_t value) {
  return frame(kSettings, 0, 0, big_endian(name, 2) + word(value));
}
std::string hold(std::uint32_t stream) {
  return request(stream, get("/hold"), kEndHeaders);
}
// Its body's end has come, its answer not.
std::string half_closed(std::uint32_t stream) {
  return request(stream, get("/hold"));
}

struct ConnectionError {
  ErrorCode code;
};
struct StreamError {  // of stream 1; the connection goes on
  ErrorCode code;
};
struct Ignored {};  // the connection goes on as if nothing had come
using Outcome = std::variant<ConnectionError, StreamError, Ignored>;

struct Row {
  std::string must;  // section, what is sent
  std::string bytes;
  Outcome outcome;
};

using enum ErrorCode;
Outcome connection(ErrorCode code) {
  return ConnectionError{code};
}
Outcome stream(ErrorCode code) {
  return StreamError{code};
}
const std::string kHead = block(get("/"));
constexpr std::uint32_t kReservedBit = 0x80000000;
const std::vector<Row> kFrameRows{
    {"4.1 a frame of an unknown type", frame(0xfe, 0xff, 0, "what"), Ignored{}},
    {"4.1 flags that are not defined", frame(kPing, 0xfe, 0, "12345678"), Ignored{}},
    {"4.1 the reserved bit", frame(kPing, 0, kReservedBit, "12345678"), Ignored{}},
    {"4.2 a frame beyond SETTINGS_MAX_FRAME_SIZE", frame(kData, 0, 1, std::string(16'385, 'x')),
     connection(frame_size_error)},
    {"4.3 a field that is in no table",
     frame(kHeaders, kEndStream | kEndHeaders, 1, "\xff\xff\x7f"), connection(compression_error)},
    {"4.3 a head cut in the midst of a field",
     frame(kHeaders, kEndStream | kEndHeaders, 1, kHead.substr(0, kHead.size() - 1)),
     connection(compression_error)},
    {"5.1 data on an idle stream", frame(kData, 0, 1, "x"), connection(protocol_error)},
    {"5.1 a reset of an idle stream", frame(kReset, 0, 1, word(8)), connection(protocol_error)},
    {"5.1 a window update of an idle stream", frame(kWindowUpdate, 0, 1, word(1)),
     connection(protocol_error)},
    {"5.1 data behind the stream's end", half_closed(1) + frame(kData, 0, 1, "x"),
     connection(stream_closed)},
    {"5.1 a head behind the stream's end", half_closed(1) + half_closed(1),
     connection(stream_closed)},
    {"5.1 what was on the way as a stream was closed",
     hold(1) + frame(kReset, 0, 1, word(8)) + frame(kWindowUpdate, 0, 1, word(1)) +
         frame(kPriority, 0, 1, word(0) + "\1"),
     Ignored{}},
    {"5.1.1 a stream of even number", request(2, get("/")), connection(protocol_error)},
    {"5.1.1 a stream's number below one that was", request(5, get("/")) + request(3, get("/")),
     Ignored{}},
    {"5.5 a setting that is not known", setting(0xfefe, 1), Ignored{}},
    {"5.5 a frame of an unknown type within a head",
     frame(kHeaders, 0, 1, kHead) + frame(0xfe, 0, 1), connection(protocol_error)},
    {"6.1 data on stream 0", frame(kData, 0, 0, "x"), connection(protocol_error)},
    {"6.1 more padding than there is data", hold(1) + frame(kData, kPadded, 1, "\5abc"),
     connection(protocol_error)},
    {"6.2 a head on stream 0", request(0, get("/")), connection(protocol_error)},
    {"6.2 more padding than there is head",
     frame(kHeaders, kEndStream | kEndHeaders | kPadded, 1, "\xff" + kHead),
     connection(protocol_error)},
    {"6.2 another frame within a head", frame(kHeaders, 0, 1, kHead) + kPingFrame,
     connection(protocol_error)},
    {"6.2 another stream's head within a head",
     frame(kHeaders, 0, 1, kHead) + frame(kContinuation, kEndHeaders, 3, kHead),
     connection(protocol_error)},
    {"6.3 a priority on stream 0", frame(kPriority, 0, 0, word(1) + "\1"),
     connection(protocol_error)},
    {"6.3 a priority of a wrong size", hold(1) + frame(kPriority, 0, 1, "1234"),
     connection(frame_size_error)},
    {"6.4 a reset of stream 0", frame(kReset, 0, 0, word(8)), connection(protocol_error)},
    {"6.4 a reset of a wrong size", hold(1) + frame(kReset, 0, 1, "123"),
     connection(frame_size_error)},
    {"6.5 settings on a stream", frame(kSettings, 0, 1), connection(protocol_error)},
    {"6.5 settings of a wrong size", frame(kSettings, 0, 0, "12345"), connection(frame_size_error)},
    {"6.5 an acknowledgement with settings", frame(kSettings, 1, 0, "123456"),
     connection(frame_size_error)},
    {"6.5.2 ENABLE_PUSH neither 0 nor 1", setting(2, 2), connection(protocol_error)},
    {"6.5.2 an initial window beyond 2^31-1", setting(4, 0x80000000),
     connection(flow_control_error)},
    {"6.5.2 MAX_FRAME_SIZE below its least", setting(5, 16'383), connection(protocol_error)},
    {"6.5.2 MAX_FRAME_SIZE beyond its most", setting(5, 1 << 24), connection(protocol_error)},
    {"RFC 8441, 3: ENABLE_CONNECT_PROTOCOL neither 0 nor 1", setting(8, 2),
     connection(protocol_error)},
    {"6.6 a push by a client", frame(kPushPromise, kEndHeaders, 1, word(2)),
     connection(protocol_error)},
    {"6.7 a ping on a stream", frame(kPing, 0, 1, "12345678"), connection(protocol_error)},
    {"6.7 a ping of a wrong size", frame(kPing, 0, 0, "1234"), connection(frame_size_error)},
    {"6.8 GOAWAY on a stream", frame(kGoaway, 0, 1, word(0) + word(0)), connection(protocol_error)},
    {"6.9 an increment of 0", frame(kWindowUpdate, 0, 0, word(0)), connection(protocol_error)},
    {"6.9 an increment of 0 for a stream", hold(1) + frame(kWindowUpdate, 0, 1, word(0)),
     connection(protocol_error)},
    {"6.9 an increment of a wrong size", frame(kWindowUpdate, 0, 0, "123"),
     connection(frame_size_error)},
    {"6.9.1 a window beyond 2^31-1", frame(kWindowUpdate, 0, 0, word(0x7fffffff)),
     connection(flow_control_error)},
    {"6.9.1 a stream's window beyond 2^31-1",
     hold(1) + frame(kWindowUpdate, 0, 1, word(0x7fffffff)), connection(flow_control_error)},
    {"6.9.2 an initial window that makes a stream's too large",
     hold(1) + frame(kWindowUpdate, 0, 1, word(1)) + setting(4, 0x7fffffff),
     connection(flow_control_error)},
    {"6.10 a continuation of nothing", frame(kContinuation, kEndHeaders, 1),
     connection(protocol_error)},
    {"6.10 a continuation on stream 0", frame(kContinuation, kEndHeaders, 0),
     connection(protocol_error)},
    {"8.1 a second head that is not the last", hold(1) + frame(kHeaders, kEndHeaders, 1, kHead),
     stream(protocol_error)},
    {"8.1 a pseudo-field in trailers",
     hold(1) + frame(kHeaders, kEndStream | kEndHeaders, 1, block({{":path", "/"}})),
     stream(protocol_error)},
    {"8.1.1 less body than its length",
     request(1, get("/hold", {{"content-length", "5"}}), kEndHeaders) +
         frame(kData, kEndStream, 1, "1234"),
     stream(protocol_error)},
    {"8.1.1 more body than its length",
     request(1, get("/hold", {{"content-length", "5"}}), kEndHeaders) +
         frame(kData, 0, 1, "123456"),
     stream(protocol_error)},
};

TEST_CASE("RFC 9113: frames that are not right end what the RFC names, by its code") {
  for (const Row& row : kFrameRows) {
    CAPTURE(row.must);
    RawUser user;
    user.send(row.bytes);
    user.wait();
    if (const auto* expected = std::get_if<ConnectionError>(&row.outcome)) {
      user.wait(3s);
      CHECK(user.goaway() == expected->code);  // 5.4.1: said, then closed
      CHECK(user.closed);
      CHECK(user.refusals.of(Refusal::protocol) == 1);
      continue;
    }
    const auto* expected = std::get_if<StreamError>(&row.outcome);
    CHECK(user.reset(1) == (expected == nullptr ? std::nullopt : std::optional(expected->code)));
    user.send(request(7, get("/hello")));
    user.wait();
    CHECK(user.answered(7));
    CHECK_FALSE(user.goaway().has_value());
  }
}

TEST_CASE("RFC 9113, 3.4: a connection begins by the preface and SETTINGS, ours too") {
  for (const std::string& first :
       {std::string(kPreface) + kPingFrame, std::string("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"),
        std::string("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")}) {
    CAPTURE(first);
    RawUser user({}, first);
    user.wait(3s);
    CHECK(user.closed);
    CHECK(user.handler.requests == 0);
  }
  RawUser user;
  user.wait();
  CHECK(user.frames().at(0).type == kSettings);
  CHECK(user.frames().at(0).flags == 0);
}

TEST_CASE("RFC 9113, 5.4.2, 6.5.3, 6.7: what is answered, and what never is") {
  RawUser user;
  user.send(frame(kSettings, 0, 0) + kPingFrame + frame(kPing, 1, 0, "unasked!") + hold(1) +
            frame(kReset, 0, 1, word(2)));
  user.wait();
  std::size_t acknowledged = 0;
  std::vector<std::string> pongs;
  for (const ReceivedFrame& each : user.frames()) {
    if (each.type == kSettings && each.flags == 1) ++acknowledged;
    if (each.type == kPing) pongs.push_back(each.payload + (each.flags == 1 ? "" : " not ACK"));
  }
  CHECK(acknowledged == 2);  // the preface's and this one
  CHECK(pongs == std::vector<std::string>{"12345678"});
  CHECK(user.count(kReset) == 0);
}

TEST_CASE("RFC 9113, 6.9.1: no more is sent than the windows allow, though one becomes negative") {
  RawUser user;
  user.send(request(1, get("/bytes/200000")));
  user.wait();
  CHECK(user.body(1).size() == 65'535);
  user.send(setting(4, 1'000) + frame(kWindowUpdate, 0, 0, word(1'000'000)));
  user.wait();
  user.send(frame(kWindowUpdate, 0, 1, word(64'535)));  // back to 0, from below
  user.wait();
  CHECK(user.body(1).size() == 65'535);
  user.send(frame(kWindowUpdate, 0, 1, word(10)));
  user.wait();
  CHECK(user.body(1).size() == 65'545);
}

TEST_CASE("RFC 9113, 8: malformed requests end their stream, and no handler sees them") {
  const Fields usual = get("/");
  const auto with = [&](const Fields& more) {
    Fields all = usual;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  const auto without = [&](const std::string& name) {
    Fields all = usual;
    std::erase_if(all, [&](const auto& field) { return field.first == name; });
    return all;
  };
  const std::vector<std::pair<std::string, Fields>> cases{
      {"8.2.1 uppercase name", with({{"X-Name", "v"}})},
      {"8.2.1 blank in a name", with({{"x name", "v"}})},
      {"8.2.1 colon in a name", with({{"x:name", "v"}})},
      {"8.2.1 line break in a value", with({{"x-name", "a\r\nhost: evil"}})},
      {"8.2.1 NUL in a value", with({{"x-name", std::string("a\0b", 3)}})},
      {"8.2.1 value begins with a blank", with({{"x-name", " v"}})},
      {"8.2.1 value ends with a blank", with({{"x-name", "v\t"}})},
      {"8.2.1 an empty name", with({{"", "v"}})},
      {"8.2.2 connection", with({{"connection", "close"}})},
      {"8.2.2 transfer-encoding", with({{"transfer-encoding", "chunked"}})},
      {"8.2.2 upgrade", with({{"upgrade", "websocket"}})},
      {"8.2.2 keep-alive", with({{"keep-alive", "timeout=5"}})},
      {"8.2.2 proxy-connection", with({{"proxy-connection", "x"}})},
      {"8.2.2 te other than trailers", with({{"te", "gzip"}})},
      {"8.3 unknown pseudo-field", with({{":unknown", "x"}})},
      {"8.3 a response's pseudo-field", with({{":status", "200"}})},
      {"8.3 a pseudo-field twice", with({{":path", "/other"}})},
      {"8.3 a pseudo-field behind another field",
       {{":method", "GET"}, {":scheme", "http"}, {"x-name", "v"}, {":path", "/"}}},
      {"8.3.1 no method", without(":method")},
      {"8.3.1 no scheme", without(":scheme")},
      {"8.3.1 no path", without(":path")},
      {"8.3.1 an empty path", {{":method", "GET"}, {":scheme", "http"}, {":path", ""}}},
      {"8.3.1 Host differs from :authority", with({{"host", "b.test"}})},
      {"8.3.1 userinfo in :authority",
       {{":method", "GET"}, {":scheme", "http"}, {":authority", "u@a.test"}, {":path", "/"}}},
      {"8.3.1 another scheme", {{":method", "GET"}, {":scheme", "ftp"}, {":path", "/"}}},
      {"8.3.1 a fragment", {{":method", "GET"}, {":scheme", "http"}, {":path", "/a#b"}}},
      {"8.3.1 a blank in the path", {{":method", "GET"}, {":scheme", "http"}, {":path", "/a b"}}},
      {"8.3.1 a method that is no token",
       {{":method", "G ET"}, {":scheme", "http"}, {":path", "/"}}},
      {"8.1.1 two lengths", with({{"content-length", "1"}, {"content-length", "1"}})},
      {"8.1.1 a length and no body", with({{"content-length", "5"}})},
      {"8.1.1 a length that is no number", with({{"content-length", "+1"}})},
  };
  for (const auto& [what, fields] : cases) {
    CAPTURE(what);
    RawUser user;
    user.send(request(1, fields));
    user.wait();
    CHECK(user.reset(1) == ErrorCode::protocol_error);
    CHECK(user.handler.requests == 0);
    CHECK(user.refusals.of(Refusal::malformed) == 1);
    user.send(request(3, usual));
    user.wait();
    CHECK(user.answered(3));
  }
}

// An app's end of a connection that the router opened, in a simulation: it sends the test's bytes.
struct RawApp {
  RawApp() { simulation.run(connect(*this)); }
  ~RawApp() { tasks.cancel_all(); }
  static async::Task<void> connect(RawApp& self) {
    const auto at = *sys::Address::ip(sim::SimNetwork::address_of(1), 8080);
    auto listener = self.app_node->host().network.listen(at);
    auto stream = co_await self.router_node->host().network.connect(at, self.soon());
    REQUIRE(stream.has_value());
    auto accepted = co_await (*listener)->accept();
    self.stream = *std::move(accepted);
    self.client = std::make_shared<Connection>(self.loop(), *std::move(stream), Role::client);
    self.tasks.spawn(self.client->run());
    self.tasks.spawn(read(self));
  }
  static async::Task<void> read(RawApp& self) {
    std::vector<char> buffer(64 * 1024);
    for (;;) {
      const auto count = co_await self.stream->read(buffer);
      if (!count || *count == 0) co_return;
      self.received.append(buffer.data(), *count);
    }
  }
  // What comes of a request that the app answers by `bytes`: the body, or why there is none.
  static async::Task<Result<std::string>> ask(RawApp& self, std::string bytes) {
    auto answer = send_late(self, std::move(bytes));
    answer.start();
    http::RequestHead head{.method = "GET", .target = "/"};
    head.headers.add("host", "a.test");
    auto response = co_await http2::forward(self.client, std::move(head), nullptr, self.soon());
    if (!response) co_return fail(response.error().error);
    co_return co_await http::read_all((*response)->body(), 1'000'000);
  }
  static async::Task<void> send_late(RawApp& self, std::string bytes) {
    co_await self.loop().sleep(10ms);
    std::ignore = co_await self.stream->write(bytes);
  }
  // What the router said at last: the code of its GOAWAY, else of its reset.
  std::optional<ErrorCode> said() const {
    std::optional<ErrorCode> code;
    if (received.size() < kPreface.size()) return code;
    for (const ReceivedFrame& each :
         frames_in(std::string_view(received).substr(kPreface.size()))) {
      if (each.type == kReset) code = static_cast<ErrorCode>(each.word(0));
      if (each.type == kGoaway) return static_cast<ErrorCode>(each.word(4));
    }
    return code;
  }
  async::Loop& loop() { return simulation.loop(); }
  Deadline soon() { return loop().deadline_in(10s); }

  sim::Simulation simulation{1};
  sim::Node* router_node = &simulation.add_node("router");
  sim::Node* app_node = &simulation.add_node("app");
  std::shared_ptr<Connection> client;
  std::unique_ptr<sys::Stream> stream;
  std::string received;
  async::TaskGroup tasks{simulation.loop()};
};

std::string response(const Fields& fields, std::uint8_t flags = kEndHeaders) {
  return frame(kHeaders, flags, 1, block(fields));
}

TEST_CASE("RFC 9113, 8: malformed responses are not passed on") {
  const Fields ok{{":status", "200"}};
  const auto with = [&](const Fields& more) {
    Fields all = ok;
    all.insert(all.end(), more.begin(), more.end());
    return response(all) + frame(kData, kEndStream, 1, "hello");
  };
  const std::string body = frame(kData, kEndStream, 1, "hello");
  const std::vector<std::pair<std::string, std::string>> cases{
      {"8.1 data before the head", body},
      {"8.1 a second head that is not the last", response(ok) + response({{"x", "y"}})},
      {"8.1 a pseudo-field in trailers",
       response(ok) + response({{":status", "200"}}, kEndStream | kEndHeaders)},
      {"8.1.1 less body than its length",
       response({{":status", "200"}, {"content-length", "9"}}) + body},
      {"8.1.1 more body than its length",
       response({{":status", "200"}, {"content-length", "2"}}) + body},
      {"8.2.1 uppercase name", with({{"X-Name", "v"}})},
      {"8.2.1 line break in a value", with({{"x-name", "a\r\nx: evil"}})},
      {"8.2.1 NUL in a value", with({{"x-name", std::string("a\0b", 3)}})},
      {"8.2.2 connection", with({{"connection", "close"}})},
      {"8.2.2 transfer-encoding", with({{"transfer-encoding", "chunked"}})},
      {"8.3 a request's pseudo-field", with({{":path", "/"}})},
      {"8.3 a pseudo-field behind another field",
       response({{"x-name", "v"}, {":status", "200"}}) + body},
      {"8.3.2 no status", response({{"x-name", "v"}}) + body},
      {"8.3.2 two", with({{":status", "200"}})},
      {"8.3.2 one that is no number", response({{":status", "2x0"}}) + body},
      {"8.6 101", response({{":status", "101"}}) + body},
  };
  for (const auto& [what, bytes] : cases) {
    CAPTURE(what);
    RawApp app;
    const auto answer = app.simulation.run(RawApp::ask(app, frame(kSettings, 0, 0) + bytes));
    CHECK_FALSE(answer.has_value());
    app.simulation.run_for(1s);
    CHECK(app.said() == ErrorCode::protocol_error);
  }
  RawApp app;
  const auto answer = app.simulation.run(RawApp::ask(app, frame(kSettings, 0, 0) + with({})));
  REQUIRE(answer.has_value());
  CHECK(*answer == "hello");
}

TEST_CASE("RFC 9113: an app whose frames are not right is left") {
  const std::string settings = frame(kSettings, 0, 0);
  const std::vector<std::tuple<std::string, std::string, ErrorCode>> cases{
      {"3.4 its first frame is not SETTINGS", response({{":status", "200"}}),
       ErrorCode::protocol_error},
      {"6.5.2 it says that it takes pushes", settings + setting(2, 1), ErrorCode::protocol_error},
      {"6.6 a push that was forbidden",
       settings + frame(kSettings, 1, 0) +
           frame(kPushPromise, kEndHeaders, 1, word(2) + block(get("/pushed"))),
       ErrorCode::protocol_error},
      {"5.1.1 a stream of its own", settings + frame(kHeaders, kEndHeaders, 2, block({})),
       ErrorCode::protocol_error},
      {"4.3 a field that is in no table",
       settings + frame(kHeaders, kEndHeaders, 1, "\xff\xff\x7f"), ErrorCode::compression_error},
  };
  for (const auto& [what, bytes, code] : cases) {
    CAPTURE(what);
    RawApp app;
    CHECK_FALSE(app.simulation.run(RawApp::ask(app, bytes)).has_value());
    app.simulation.run_for(1s);
    CHECK(app.said() == code);
  }
}

}  // namespace
}  // namespace perigee::http2
