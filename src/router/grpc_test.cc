// gRPC through the router, and through two of them: four kinds of calls, trailers, deadlines,
// cancellation, large messages, and what the router says itself.
#include "router/grpc.h"

#include "router/grpc_fixture.h"

namespace perigee::router {
namespace {

// A client on a connection of its own to the first router.
struct Client {
  explicit Client(Fixture& fixture) : f(fixture) {
    auto stream = f.loop().run(f.h().network.connect(f.http_address, f.soon()));
    REQUIRE(stream.has_value());
    connection =
        std::make_shared<http2::Connection>(f.loop(), *std::move(stream), http2::Role::client);
    tasks.spawn(connection->run());
  }
  ~Client() { tasks.cancel_all(); }

  async::Task<Result<Ended>> run(http::RequestHead head, http::Body* body) {
    auto response = co_await http2::forward(connection, std::move(head), body, f.soon());
    if (!response) co_return fail(response.error().error);
    Ended ended{.http_status = (*response)->head.status, .head = (*response)->head.headers};
    MessageReader reader((*response)->body());
    for (;;) {
      CO_TRY(std::optional<std::string> text, co_await reader.next());
      if (!text) break;
      ended.messages.push_back(*std::move(text));
    }
    ended.trailers = (*response)->body().trailers();
    for (const http::Headers* each : {&ended.head, &ended.trailers}) {
      if (const std::string_view* status = each->find("grpc-status")) ended.status = *status;
      if (const std::string_view* text = each->find("grpc-message")) ended.text = *text;
    }
    co_return ended;
  }
  // All messages at once.
  Ended call(const std::string& method, const std::vector<std::string>& messages,
             const std::string& timeout = {}) {
    Outgoing body(f.loop());
    for (const std::string& each : messages) body.say(each);
    body.end();
    auto ended = f.loop().run(run(call_head(method, timeout), &body));
    REQUIRE_MESSAGE(ended.has_value(), ended.error().context);
    return *std::move(ended);
  }

  Fixture& f;
  std::shared_ptr<http2::Connection> connection;
  async::TaskGroup tasks{f.loop()};
};

// Message by message: each is answered before the next is sent.
async::Task<Result<std::string>> chat(Client& client, int rounds) {
  Outgoing body(client.f.loop());
  body.say("first");
  auto response =
      co_await http2::forward(client.connection, call_head("Chat"), &body, client.f.soon());
  if (!response) co_return fail(response.error().error);
  MessageReader reader((*response)->body());
  std::string all;
  for (int i = 0; i < rounds; ++i) {
    CO_TRY(const auto text, co_await reader.next());
    if (!text) co_return fail(Code::end_of_stream, "ended early");
    all += *text + " ";
    if (i + 1 < rounds) body.say(std::to_string(i));
  }
  body.end();
  CO_TRY(const auto end, co_await reader.next());
  const http::Headers trailers = (*response)->body().trailers();
  const std::string_view* status = trailers.find("grpc-status");
  co_return all + std::string(end ? "more" : status == nullptr ? "none" : *status);
}

// The four kinds, with what gRPC's clients need of each.
void check_calls(Client& client) {
  const Ended unary = client.call("Unary", {"hello"});
  CHECK(unary.http_status == 200);
  CHECK(unary.messages == std::vector<std::string>{"hello"});
  CHECK(unary.status == "0");
  CHECK(*unary.head.find("x-initial") == "1");
  CHECK(*unary.trailers.find("x-final") == "2");
  CHECK(unary.head.find("grpc-status") == nullptr);
  CHECK(client.call("Collect", {"a", "bc", ""}).messages == std::vector<std::string>{"3 bytes"});
  CHECK(client.call("List", {"x"}).messages == std::vector<std::string>{"x", "x", "x"});
  const auto said = client.f.loop().run(chat(client, 4));
  REQUIRE_MESSAGE(said.has_value(), said.error().context);
  CHECK(*said == "first 0 1 2 0");
  const Ended refused = client.call("Refuse", {"x"});
  CHECK(refused.status == "5");
  CHECK(refused.text == "nothing there");
  CHECK(refused.messages.empty());
  CHECK(refused.head.find("grpc-status") != nullptr);  // Trailers-Only, as the app sent it
}

struct GrpcFixture : Fixture {
  GrpcFixture() { h2_backend = true; }
  void start() {
    start_app(app, "127.0.0.1");
    target("m1", "127.0.0.1");
    start_all();
  }
  GrpcApp app{loop()};
};

struct GrpcFleet : Fleet {
  GrpcFleet() { h2_backend = true; }
  GrpcApp app{loop()};
};

TEST_CASE_FIXTURE(GrpcFixture, "all four kinds of calls go through the router") {
  start();
  Client client(*this);
  check_calls(client);
  CHECK(app.last.major_version == 2);
  CHECK(*app.last.headers.find("te") == "trailers");
  CHECK(*app.last.headers.find("via") == "2.0 perigee");
}

TEST_CASE_FIXTURE(GrpcFleet, "all four kinds of calls go through the backhaul") {
  start_app(app, ip_of(2));
  place("m2", 2);
  start_fleet();
  Client client(*this);
  check_calls(client);
  CHECK(client.call("Unary", {std::string(3'000'000, 'x')}).messages[0].size() == 3'000'000);
}

TEST_CASE_FIXTURE(GrpcFleet, "a call that is cancelled is cancelled at the app, on another node") {
  start_app(app, ip_of(2));
  place("m2", 2);
  start_fleet();
  {
    Client client(*this);
    async::TaskGroup calls(loop());
    struct Go {
      static async::Task<void> run(Client& c) {
        std::ignore = co_await c.run(call_head("Hold"), nullptr);
      }
    };
    calls.spawn(Go::run(client));
    for (int i = 0; i < 500 && app.calls == 0; ++i) sleep(10ms);
    REQUIRE(app.calls == 1);
    calls.cancel_all();  // resets the stream, the connection stays
    for (int i = 0; i < 500 && app.cancelled == 0; ++i) sleep(10ms);
    CHECK(app.cancelled == 1);
    CHECK_FALSE(client.connection->lost());
  }
}

TEST_CASE_FIXTURE(GrpcFixture, "a message of 64 MiB goes both ways") {
  start();
  Client client(*this);
  const std::string large(64 * 1024 * 1024, 'm');
  const Ended ended = client.call("Unary", {large});
  REQUIRE(ended.messages.size() == 1);
  CHECK(ended.messages[0] == large);
  CHECK(ended.status == "0");
}

TEST_CASE_FIXTURE(GrpcFixture, "a thousand calls share one connection") {
  start();
  Client client(*this);
  for (int i = 0; i < 1000; ++i) {
    const std::string text = std::to_string(i);
    REQUIRE(client.call("Unary", {text}).messages == std::vector<std::string>{text});
  }
  CHECK(app.calls == 1000);
}

TEST_CASE_FIXTURE(GrpcFixture, "a deadline passes on, and ends what the router waits for") {
  start();
  Client client(*this);
  CHECK(client.call("Unary", {"x"}, "10S").status == "0");
  CHECK(*app.last.headers.find("grpc-timeout") == "10S");
  const MonotonicTime begun = loop().now();
  const Ended late = client.call("Hold", {"x"}, "300m");
  CHECK(late.http_status == 200);
  CHECK(late.status == "4");
  CHECK(late.messages.empty());
  CHECK(loop().now() - begun < 5s);
  for (int i = 0; i < 500 && app.cancelled == 0; ++i) sleep(10ms);
  CHECK(app.cancelled == 1);
}

TEST_CASE_FIXTURE(GrpcFixture, "a call that has begun is cut at its deadline, not ended well") {
  start();
  Client client(*this);
  Outgoing body(loop());
  body.end();
  const auto ended = loop().run(client.run(call_head("Stall", "300m"), &body));
  REQUIRE_FALSE(ended.has_value());
  for (int i = 0; i < 500 && app.cancelled == 0; ++i) sleep(10ms);
  CHECK(app.cancelled == 1);
}

TEST_CASE_FIXTURE(GrpcFixture, "while no machine can be reached a call waits until its deadline") {
  reach_bound = 30s;
  port = 1;  // nobody listens there
  target("m1", "127.0.0.1");
  start_all();
  Client client(*this);
  const MonotonicTime begun = loop().now();
  CHECK(client.call("Unary", {"x"}, "400m").status == "4");
  CHECK(loop().now() - begun < 5s);
}

TEST_CASE_FIXTURE(GrpcFixture, "what the router refuses has a status that gRPC clients know") {
  reach_bound = 100ms;
  port = 1;
  target("m1", "127.0.0.1");
  start_all();
  Client client(*this);
  const Ended refused = client.call("Unary", {"x"});
  CHECK(refused.http_status == 200);
  CHECK(refused.status == "14");
  CHECK(refused.text.find("upstream_refused") == 0);
  CHECK(*refused.head.find("content-type") == "application/grpc");
  CHECK(refused.head.find("content-length") == nullptr);
  CHECK(refused.messages.empty());

  http::RequestHead unknown = call_head("Unary");
  unknown.headers.set("host", "nobody.test");
  const auto nobody = loop().run(client.run(unknown, nullptr));
  REQUIRE(nobody.has_value());
  CHECK(nobody->status == "12");
}

TEST_CASE("grpc-timeout is read as the protocol has it") {
  const auto read = [](const std::string& text) {
    http::Headers headers;
    headers.add("grpc-timeout", text);
    return grpc::timeout(headers);
  };
  CHECK(read("1H") == Duration(std::chrono::hours(1)));
  CHECK(read("2M") == 120s);
  CHECK(read("3S") == 3s);
  CHECK(read("100m") == 100ms);
  CHECK(read("5u") == 5us);
  CHECK(read("99999999n") == Duration(99'999'999));
  CHECK(read("99999999H") == Duration(std::chrono::hours(24 * 365)));
  for (const char* wrong : {"", "S", "10", "123456789S", "-1S", "1.5S", "1s", "1 S"}) {
    CAPTURE(wrong);
    CHECK_FALSE(read(wrong).has_value());
  }
  CHECK_FALSE(grpc::timeout({}).has_value());
}

TEST_CASE("problems have the status codes that clients act on, and readable messages") {
  const auto status = [](int http, std::string code = "x") {
    return static_cast<int>(grpc::status_of({.status = http, .code = std::move(code)}));
  };
  CHECK(status(503) == 14);
  CHECK(status(502) == 14);
  CHECK(status(504) == 14);
  CHECK(status(504, std::string(kDeadlineCode)) == 4);
  CHECK(status(404) == 12);
  CHECK(status(400) == 13);
  CHECK(status(413) == 8);
  CHECK(status(418) == 2);
  const Page page =
      grpc::refusal({.status = 503, .code = "no", .reason = "100% of\n\xc3\xa4"}, "id");
  CHECK(*page.head.headers.find("grpc-message") == "no: 100%25 of%0A%C3%A4");
  CHECK(page.body.empty());
}

}  // namespace
}  // namespace perigee::router
