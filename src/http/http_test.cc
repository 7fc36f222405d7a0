// Server and client over real loopback sockets: raw bytes against the server, raw bytes against the
// client, and the two against each other.
#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "async/combine.h"
#include "async/task_group.h"
#include "crypto/certificate.h"
#include "http/client.h"
#include "http/server.h"
#include "sys/posix_host.h"

namespace perigee::http {
namespace {

// Answers by path; remembers what it saw.
class TestHandler : public Handler {
 public:
  explicit TestHandler(async::Loop& loop) : gone(loop), entered(loop), loop_(loop) {}

  async::Task<void> handle(Request& request, ResponseWriter& response) override {
    ++requests;
    last_uid = request.peer_uid;
    ids.push_back(request.request_id);
    const std::string_view path = request.head.path();
    if (path == "/echo") co_await echo(request, response);
    if (path == "/hello") co_await text(response, "hello");
    if (path == "/stream") co_await stream(response);
    if (path == "/wait") co_await wait(response);
    if (path == "/empty") co_await status(response, 204);
    if (path == "/unmodified") co_await status(response, 304);
    if (path == "/close") co_await closing(response);
    if (path == "/cut") co_await cut(response);
    if (path == "/long") co_await too_long(response);
    if (path == "/split") co_await split(response);
    if (path == "/slow") co_await slow(response);
    if (path == "/echo-stream") co_await echo_stream(request, response);
  }

  int requests = 0;
  std::vector<std::string> ids;
  std::optional<std::uint32_t> last_uid;
  async::Event gone;
  async::Event entered;

 private:
  static async::Task<void> text(ResponseWriter& response, std::string body) {
    std::ignore = co_await response.send({.status = 200}, std::move(body));
  }
  static async::Task<void> status(ResponseWriter& response, int code) {
    std::ignore = co_await response.send({.status = code}, "must not go out");
  }
  static async::Task<void> echo(Request& request, ResponseWriter& response) {
    auto body = co_await read_all(request.body, 10'000'000);
    if (!body) co_return co_await text(response, "bad body: " + body.error().context);
    co_await text(response, *std::move(body));
  }
  static async::Task<void> echo_stream(Request& request, ResponseWriter& response) {
    if (!co_await response.start({.status = 200})) co_return;
    std::vector<char> buffer(1000);
    for (;;) {
      auto n = co_await request.body.read(buffer);
      if (!n) co_return;
      if (*n == 0) break;
      if (!co_await response.write(std::string_view(buffer.data(), *n))) co_return;
    }
    std::ignore = co_await response.finish();
  }
  async::Task<void> stream(ResponseWriter& response) {
    std::ignore = co_await response.start({.status = 200});
    for (const char* part : {"one ", "two ", "three"}) {
      std::ignore = co_await response.write(part);
      co_await loop_.yield();
    }
    std::ignore = co_await response.finish();
  }
  async::Task<void> wait(ResponseWriter& response) {
    entered.set();
    co_await response.closed();
    gone.set();
  }
  async::Task<void> slow(ResponseWriter& response) {
    entered.set();
    co_await loop_.sleep(100ms);
    co_await text(response, "slow");
  }
  static async::Task<void> closing(ResponseWriter& response) {
    ResponseHead head;
    head.headers.add("Connection", "close");
    std::ignore = co_await response.send(std::move(head), "bye");
  }
  static async::Task<void> cut(ResponseWriter& response) {
    std::ignore = co_await response.start({.status = 200});
    std::ignore = co_await response.write("half");
  }
  static async::Task<void> too_long(ResponseWriter& response) {
    ResponseHead head;
    head.headers.add("Content-Length", "3");
    std::ignore = co_await response.start(std::move(head));
    const auto written = co_await response.write("four");
    CHECK_FALSE(written.has_value());
  }
  static async::Task<void> split(ResponseWriter& response) {
    ResponseHead head;
    head.headers.add("X", "a\r\nInjected: yes");
    CHECK_FALSE((co_await response.send(std::move(head), "x")).has_value());
  }
  async::Loop& loop_;
};

struct Fixture {
  explicit Fixture(ServerLimits limits = {}) : handler(host->loop()) {
    server = std::make_unique<Server>(host->host(), handler, limits);
    auto listener = *host->host().network.listen(*sys::Address::parse("127.0.0.1:0"));
    address = listener->local();
    tasks.spawn(server->serve(std::move(listener)));
  }
  async::Loop& loop() { return host->loop(); }
  sys::Host& h() { return host->host(); }
  Deadline soon() { return loop().deadline_in(10s); }

  std::unique_ptr<sys::PosixHost> host = *sys::PosixHost::open(1);
  TestHandler handler;
  sys::Address address;
  std::unique_ptr<Server> server;
  async::TaskGroup tasks{host->loop()};
};

enum class AfterSend { wait, end };

async::Task<Result<std::string>> read_to_end(sys::Stream& stream) {
  std::string out;
  std::array<char, 4096> buffer;
  for (;;) {
    auto n = co_await stream.read(buffer);
    if (!n) co_return out + "[" + n.error().context + "]";
    if (*n == 0) co_return out;
    out.append(buffer.data(), *n);
  }
}

async::Task<Result<std::string>> raw(Fixture& f, std::string bytes, AfterSend after) {
  CO_TRY(auto stream, co_await f.h().network.connect(f.address, f.soon()));
  CO_TRY_VOID(co_await stream->write(bytes));
  if (after == AfterSend::end) CO_TRY_VOID(stream->shutdown_write());
  co_return co_await async::with_deadline(f.loop(), f.soon(), read_to_end(*stream), "raw");
}

// Everything the server sends until it closes, without Date lines.
std::string talk(Fixture& f, const std::string& bytes, AfterSend after = AfterSend::wait) {
  const auto answer = f.loop().run(raw(f, bytes, after));
  REQUIRE_MESSAGE(answer.has_value(), answer.error().context);
  std::string text = *answer;
  for (auto at = text.find("Date: "); at != std::string::npos; at = text.find("Date: ")) {
    text.erase(at, text.find("\r\n", at) + 2 - at);
  }
  return text;
}

std::string req(const std::string& line, const std::string& fields = "",
                const std::string& body = "") {
  return line + " HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n" + body;
}
const std::string kClose = "Connection: close\r\n";

TEST_CASE_FIXTURE(Fixture, "pipelined requests are answered in order on one connection") {
  const std::string answer =
      talk(*this, req("GET /hello") + req("POST /echo", "Content-Length: 3\r\n", "abc") +
                      req("POST /echo", "Transfer-Encoding: chunked\r\n", "2\r\nde\r\n0\r\n\r\n") +
                      req("GET /stream", kClose));
  CHECK(answer ==
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nde"
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        "4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n");
  CHECK(handler.requests == 4);
  CHECK(handler.ids[0] != handler.ids[1]);
}

TEST_CASE_FIXTURE(Fixture, "HEAD, 204 and 304 have no body") {
  CHECK(talk(*this, req("HEAD /hello") + req("GET /empty") + req("GET /unmodified", kClose)) ==
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        "HTTP/1.1 204 No Content\r\n\r\n"
        "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n");
}

TEST_CASE_FIXTURE(Fixture, "HTTP/1.0 gets close-delimited bodies, and keep-alive only if asked") {
  CHECK(talk(*this, "GET /stream HTTP/1.0\r\n\r\n") ==
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\none two three");
  CHECK(talk(*this,
             "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /hello HTTP/1.0\r\n\r\n") ==
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello"
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
}

TEST_CASE_FIXTURE(Fixture, "100-continue goes out when the handler wants the body, else not") {
  const std::string expect = "Expect: 100-continue\r\nContent-Length: 3\r\n";
  CHECK(talk(*this, req("POST /echo", expect + kClose, "abc")) ==
        "HTTP/1.1 100 Continue\r\n\r\n"
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc");
  CHECK(talk(*this, req("POST /hello", expect), AfterSend::end) ==
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  CHECK(talk(*this, req("POST /hello", "Expect: magic\r\n"), AfterSend::end).find("417") == 9);
}

TEST_CASE_FIXTURE(Fixture, "malformed requests are refused once, and nothing after them is read") {
  const std::string smuggled = req("GET /hello");
  for (const std::string& bytes :
       {req("POST /echo", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        req("POST /echo", "Content-Length: 3\r\nContent-Length: 3\r\n", "abc"),
        req("GET /hello", "X : y\r\n"), std::string("GARBAGE\r\n\r\n"),
        std::string("\x16\x03\x01\x02\x00\x01\n", 7)}) {
    const std::string answer = talk(*this, bytes + smuggled);
    CHECK(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"));
    CHECK(answer.find("HTTP/1.1", 8) == std::string::npos);
  }
  CHECK(handler.requests == 0);
  const std::string bad_chunk =
      req("POST /echo", "Transfer-Encoding: chunked\r\n", "zz\r\n") + smuggled;
  const std::string answer = talk(*this, bad_chunk);
  CHECK(answer.find("bad body: malformed body: invalid chunk size") != std::string::npos);
  CHECK(handler.requests == 1);
}

TEST_CASE_FIXTURE(Fixture, "an unread body is drained, and a large one closes the connection") {
  const std::string small(1000, 'x');
  CHECK(talk(*this,
             req("POST /hello", "Content-Length: 1000\r\n", small) + req("GET /hello", kClose)) ==
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
  const std::string large(kMaxDrain + 100'000, 'x');
  const std::string fields = "Content-Length: " + std::to_string(large.size()) + "\r\n";
  CHECK(talk(*this, req("POST /hello", fields, large)).ends_with("hello"));
}

TEST_CASE_FIXTURE(Fixture, "a handler that gives no answer, or a broken one, can't mislead") {
  CHECK(talk(*this, req("GET /nothing", kClose)).starts_with("HTTP/1.1 500 "));
  CHECK(talk(*this, req("GET /split", kClose)).starts_with("HTTP/1.1 500 "));
  CHECK(talk(*this, req("GET /cut")).ends_with("\r\n\r\n4\r\nhalf\r\n"));
  CHECK(talk(*this, req("GET /long")).ends_with("Content-Length: 3\r\n\r\n"));
  CHECK(talk(*this, req("GET /close")).ends_with("Connection: close\r\n\r\nbye"));
}

struct ImpatientFixture : Fixture {
  ImpatientFixture()
      : Fixture({.head_timeout = 50ms, .idle_timeout = 80ms, .body_timeout = 50ms}) {}
};
TEST_CASE_FIXTURE(ImpatientFixture, "slow clients are dropped: idle, in a head, in a body") {
  CHECK(talk(*this, "").empty());
  CHECK(talk(*this, req("GET /hello")).ends_with("hello"));
  CHECK(talk(*this, "GET /hel").starts_with("HTTP/1.1 408 "));
  CHECK(talk(*this, req("POST /echo", "Content-Length: 3\r\n", "a"))
            .find("bad body: body: no answer in time") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "closed() notices a client that goes away") {
  struct Go {
    static async::Task<Result<void>> run(Fixture& f) {
      CO_TRY(auto stream, co_await f.h().network.connect(f.address, f.soon()));
      CO_TRY_VOID(co_await stream->write(req("GET /wait")));
      co_await f.handler.entered.wait();
      co_return Result<void>();
    }
    static async::Task<Result<void>> gone(Fixture& f) {
      co_await f.handler.gone.wait();
      co_return Result<void>();
    }
  };
  REQUIRE(loop().run(Go::run(*this)).has_value());
  CHECK(loop().run(async::with_deadline(loop(), soon(), Go::gone(*this), "gone")).has_value());
}

TEST_CASE_FIXTURE(Fixture, "drain lets requests end, closes idle connections, accepts no more") {
  struct Go {
    static async::Task<void> run(Fixture& f, std::string& slow, std::string& idle) {
      async::TaskGroup group(f.loop());
      group.spawn(ask(f, req("GET /slow"), slow));
      group.spawn(ask(f, req("GET /hello"), idle));
      co_await f.handler.entered.wait();
      co_await f.loop().sleep(20ms);
      co_await f.server->drain(f.soon());
      co_await group.drained();
    }
    static async::Task<void> ask(Fixture& f, std::string bytes, std::string& into) {
      auto answer = co_await raw(f, std::move(bytes), AfterSend::wait);
      into = answer.value_or("failed");
    }
  };
  std::string slow;
  std::string idle;
  loop().run(Go::run(*this, slow, idle));
  CHECK(slow.find("Connection: close") != std::string::npos);
  CHECK(slow.ends_with("slow"));
  CHECK(idle.ends_with("hello"));
  CHECK(server->connections() == 0);
  CHECK(tasks.size() == 0);
}

TEST_CASE_FIXTURE(Fixture, "a drain with patience answers who is about to ask, for the last time") {
  struct Go {
    static async::Task<Result<std::string>> run(Fixture& f, async::TaskGroup& group) {
      CO_TRY(const auto asking, co_await f.h().network.connect(f.address, f.soon()));
      CO_TRY(const auto silent, co_await f.h().network.connect(f.address, f.soon()));
      co_await f.loop().sleep(20ms);
      group.spawn(f.server->drain(f.soon(), 300ms));
      CO_TRY_VOID(co_await asking->write(req("GET /hello")));
      std::string answer;
      std::array<char, 1000> buffer;
      for (std::size_t n = 1; n != 0;) {
        CO_TRY(n, co_await asking->read(buffer));
        answer.append(buffer.data(), n);
      }
      CO_TRY(const std::size_t end, co_await silent->read(buffer));
      CHECK(end == 0);
      co_return answer;
    }
  };
  async::TaskGroup group(loop());
  const MonotonicTime begin = loop().now();
  const auto answer =
      loop().run(async::with_deadline(loop(), soon(), Go::run(*this, group), "answer"));
  REQUIRE(answer.has_value());
  CHECK(answer->find("\r\nConnection: close\r\n") != std::string::npos);
  CHECK(answer->ends_with("hello"));
  CHECK(loop().now() - begin >= 300ms);
  loop().run(group.drained());
}

// ---- client ----

struct Answer {
  int status = 0;
  std::string body;
  Headers headers{};
};

async::Task<Result<Answer>> ask(Fixture& f, Client& client, sys::Address to, RequestHead head,
                                std::string body) {
  CO_TRY(auto response, co_await client.request(to, std::move(head), std::move(body), f.soon()));
  CO_TRY(std::string text, co_await read_all(response->body(), 10'000'000));
  co_return Answer{response->head.status, std::move(text), response->head.headers};
}

TEST_CASE_FIXTURE(Fixture, "the client reuses its connection and takes every framing") {
  Client client(h(), {});
  for (int i = 0; i < 3; ++i) {
    CHECK(loop().run(ask(*this, client, address, {.target = "/hello"}, ""))->body == "hello");
    CHECK(loop().run(ask(*this, client, address, {.target = "/stream"}, ""))->body ==
          "one two three");
    CHECK(loop()
              .run(ask(*this, client, address, {.method = "HEAD", .target = "/hello"}, ""))
              ->body.empty());
    CHECK(loop().run(ask(*this, client, address, {.target = "/empty"}, ""))->status == 204);
  }
  CHECK(server->connections() == 1);
  CHECK(client.idle_connections() == 1);
  const std::string big(3'000'000, 'b');
  const auto echoed =
      loop().run(ask(*this, client, address, {.method = "POST", .target = "/echo"}, big));
  CHECK((echoed.has_value() && echoed->body == big));
  const auto cut = loop().run(ask(*this, client, address, {.target = "/cut"}, ""));
  REQUIRE_FALSE(cut.has_value());
  CHECK(cut.error().code == Code::end_of_stream);
  client.forget(address);
  CHECK(client.idle_connections() == 0);
}

// A body of `total` bytes whose length may be kept secret.
class Pattern : public Body {
 public:
  Pattern(std::size_t total, bool known) : total_(total), known_(known) {}
  async::Task<Result<std::size_t>> read(std::span<char> into) override {
    if (fails && given_ >= total_ / 2) co_return fail(Code::invalid_argument, "source broke");
    const std::size_t n = std::min(into.size(), total_ - given_);
    std::fill_n(into.begin(), n, 'p');
    given_ += n;
    co_return n;
  }
  std::optional<std::uint64_t> length() const override {
    if (known_) return total_;
    return std::nullopt;
  }
  bool fails = false;

 private:
  std::size_t total_;
  bool known_;
  std::size_t given_ = 0;
};

async::Task<std::expected<Answer, RequestFailure>> forward(Fixture& f, Client& client,
                                                           sys::Address to, RequestHead head,
                                                           Body* body) {
  auto response = co_await client.forward(to, std::move(head), body, f.soon());
  if (!response) co_return std::unexpected(std::move(response).error());
  auto text = co_await read_all((*response)->body(), 10'000'000);
  if (!text) co_return std::unexpected(RequestFailure{.error = text.error(), .sent = true});
  co_return Answer{(*response)->head.status, *text, (*response)->head.headers};
}

TEST_CASE_FIXTURE(Fixture, "bodies stream up and down at once, of known length and chunked") {
  Client client(h(), {});
  for (const bool known : {true, false}) {
    for (const char* target : {"/echo", "/echo-stream"}) {
      Pattern body(2'000'000, known);
      const auto answer =
          loop().run(forward(*this, client, address, {.method = "POST", .target = target}, &body));
      REQUIRE(answer.has_value());
      CHECK(answer->body == std::string(2'000'000, 'p'));
    }
  }
  CHECK(server->connections() == 1);
}

TEST_CASE_FIXTURE(Fixture, "an early answer arrives though the body is not all sent") {
  Client client(h(), {});
  Pattern body(50'000'000, true);
  const auto answer =
      loop().run(forward(*this, client, address, {.method = "POST", .target = "/hello"}, &body));
  REQUIRE(answer.has_value());
  CHECK(answer->body == "hello");
  CHECK(client.idle_connections() == 0);
}

TEST_CASE_FIXTURE(Fixture, "a body whose source breaks fails as the source's fault") {
  Client client(h(), {});
  Pattern body(1'000'000, true);
  body.fails = true;
  const auto answer =
      loop().run(forward(*this, client, address, {.method = "POST", .target = "/echo"}, &body));
  REQUIRE_FALSE(answer.has_value());
  CHECK(answer.error().from_body);
  CHECK(answer.error().error.context == "source broke");
}

TEST_CASE_FIXTURE(Fixture, "nothing was sent where nobody listens") {
  auto listener = *h().network.listen(*sys::Address::parse("127.0.0.1:0"));
  const sys::Address nobody = listener->local();
  listener.reset();
  Client client(h(), {});
  const auto answer = loop().run(forward(*this, client, nobody, {}, nullptr));
  REQUIRE_FALSE(answer.has_value());
  CHECK_FALSE(answer.error().sent);
  CHECK(answer.error().error.code == Code::unavailable);
}

// A server that plays a script: per connection, the answers to send, one per request head.
struct Script {
  std::vector<std::vector<std::string>> connections;
  std::size_t accepted = 0;
  std::string seen;
};

async::Task<void> play(sys::Stream& stream, const std::vector<std::string>& answers,
                       std::string& seen) {
  std::array<char, 4096> buffer;
  for (const std::string& answer : answers) {
    const auto n = co_await stream.read(buffer);
    if (!n || *n == 0) co_return;
    seen.append(buffer.data(), *n);
    if (!co_await stream.write(answer)) co_return;
  }
}

async::Task<void> serve_script(sys::Listener& listener, Script& script) {
  while (script.accepted < script.connections.size()) {
    auto stream = co_await listener.accept();
    if (!stream) co_return;
    const auto& answers = script.connections[script.accepted++];
    co_await play(**stream, answers, script.seen);
  }
}

struct ScriptFixture : Fixture {
  void start(std::vector<std::vector<std::string>> connections) {
    script.connections = std::move(connections);
    listener = *h().network.listen(*sys::Address::parse("127.0.0.1:0"));
    tasks.spawn(serve_script(*listener, script));
  }
  std::expected<Answer, RequestFailure> get(const char* method = "GET") {
    return loop().run(forward(*this, client, listener->local(), {.method = method}, nullptr));
  }
  Script script;
  std::unique_ptr<sys::Listener> listener;
  Client client{h(), {}};
};

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

TEST_CASE_FIXTURE(ScriptFixture, "interim responses are skipped") {
  start({{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + kOk}});
  const auto answer = get();
  REQUIRE(answer.has_value());
  CHECK(answer->body == "ok");
}

TEST_CASE_FIXTURE(ScriptFixture, "a connection closed while idle is replaced unnoticed") {
  start({{kOk}, {kOk}, {kOk}});
  for (int i = 0; i < 3; ++i) CHECK(get(i == 1 ? "POST" : "GET").has_value());
  CHECK(script.accepted == 3);
}

TEST_CASE_FIXTURE(ScriptFixture,
                  "a connection closed as the request arrives: GET again, POST not") {
  start({{kOk, ""}, {kOk}});
  REQUIRE(get().has_value());
  CHECK(get().has_value());
  CHECK(script.accepted == 2);
}

TEST_CASE_FIXTURE(ScriptFixture, "a POST that may have been acted on is not repeated") {
  start({{kOk, ""}, {kOk}});
  REQUIRE(get().has_value());
  const auto answer = get("POST");
  REQUIRE_FALSE(answer.has_value());
  CHECK(answer.error().sent);
  CHECK(script.accepted == 1);
}

TEST_CASE_FIXTURE(ScriptFixture,
                  "malformed responses are data loss; bytes after one end the reuse") {
  start({{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"},
         {"HTTP/1.1 101 Switching Protocols\r\n\r\n"},
         {kOk + "HTTP/1.1 200 OK\r\n\r\nsmuggled"},
         {"HTTP/1.0 200 OK\r\n\r\nuntil close"}});
  CHECK(get().error().error.code == Code::data_loss);
  CHECK(get().error().error.code == Code::data_loss);
  CHECK(get()->body == "ok");
  CHECK(client.idle_connections() == 0);
  CHECK(get()->body == "until close");
}

TEST_CASE_FIXTURE(ScriptFixture, "a server that says nothing is given up on at the deadline") {
  start({{"HTTP/1.1 200"}});
  struct Go {
    static async::Task<std::expected<std::unique_ptr<Response>, RequestFailure>> run(
        ScriptFixture& f, Body* body) {
      co_return co_await f.client.forward(f.listener->local(), {.method = "POST"}, body,
                                          f.loop().deadline_in(50ms));
    }
  };
  listener = *h().network.listen(*sys::Address::parse("127.0.0.1:0"));  // accepts nothing
  Pattern body(10, true);
  for (Body* source : {static_cast<Body*>(nullptr), static_cast<Body*>(&body)}) {
    const auto answer = loop().run(Go::run(*this, source));
    REQUIRE_FALSE(answer.has_value());
    CHECK(answer.error().error.code == Code::deadline_exceeded);
    CHECK(answer.error().sent);
  }
}

TEST_CASE_FIXTURE(Fixture, "a Unix socket tells the peer's uid") {
  std::string pattern = "/tmp/perigee-http-XXXXXX";
  const std::string directory = ::mkdtemp(pattern.data());
  const auto at = *sys::Address::unix_path(directory + "/s");
  tasks.spawn(server->serve(*h().network.listen(at)));
  Client client(h(), {});
  CHECK(loop().run(ask(*this, client, at, {.target = "/hello"}, ""))->body == "hello");
  CHECK(handler.last_uid == ::getuid());
  std::filesystem::remove_all(directory);
}

TEST_CASE_FIXTURE(Fixture, "the server speaks TLS, and lives on after broken handshakes") {
  const WallTime now = h().clock.wall();
  const auto ca = *crypto::create_ca("test", now);
  const auto leaf = *crypto::issue(ca, {"a.test"}, now, 30);
  auto tls = *crypto::TlsServer::create();
  REQUIRE(tls->set_certificate("a.test", leaf.certificate_pem, leaf.private_key_pem).has_value());
  auto listener = *h().network.listen(*sys::Address::parse("127.0.0.1:0"));
  address = listener->local();
  tasks.spawn(server->serve_tls(std::move(listener), *tls));
  talk(*this, req("GET /hello"));
  auto client = *crypto::TlsClient::create(ca.certificate_pem);
  struct Go {
    static async::Task<Result<std::string>> run(Fixture& f, crypto::TlsClient& c) {
      CO_TRY(auto stream, co_await f.h().network.connect(f.address, f.soon()));
      CO_TRY(auto secure, co_await c.connect(std::move(stream), "a.test"));
      CO_TRY_VOID(co_await secure->write(req("GET /hello") + req("GET /stream", kClose)));
      co_return co_await read_to_end(*secure);
    }
  };
  const auto answer = loop().run(Go::run(*this, *client));
  REQUIRE(answer.has_value());
  CHECK(answer->ends_with("5\r\nthree\r\n0\r\n\r\n"));
}

}  // namespace
}  // namespace perigee::http
