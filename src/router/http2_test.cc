// Users who speak HTTP/2, to machines that speak HTTP/1.1 or HTTP/2: which protocol a connection
// has, what becomes of heads and bodies, how a router ends.
#include "router/test_fixture.h"

namespace perigee::router {
namespace {

using ConnectionPtr = std::shared_ptr<http2::Connection>;

struct Users : Fixture {
  Users() {
    const WallTime now = h().clock.wall();
    ca = *crypto::create_ca("test", now);
    const auto leaf = *crypto::issue(ca, {"hello.test"}, now, 30);
    route.certificates = {sealed_certificate("hello.test", leaf)};
  }
  ~Users() { connections.cancel_all(); }

  async::Task<Result<ConnectionPtr>> open(sys::Address to) {
    CO_TRY(auto stream, co_await h().network.connect(to, soon()));
    co_return keep(std::move(stream));
  }
  async::Task<Result<ConnectionPtr>> open_tls() {
    auto tls =
        *crypto::TlsClient::create(ca.certificate_pem, crypto::TlsClient::Verify::yes, {"h2"});
    CO_TRY(auto stream, co_await h().network.connect(https_address, soon()));
    CO_TRY(auto secure, co_await tls->connect(std::move(stream), "hello.test"));
    co_return keep(std::move(secure));
  }
  ConnectionPtr keep(std::unique_ptr<sys::Stream> stream) {
    auto made = std::make_shared<http2::Connection>(loop(), std::move(stream), http2::Role::client);
    connections.spawn(run(made));
    return made;
  }
  static async::Task<void> run(ConnectionPtr connection) { co_await connection->run(); }
  ConnectionPtr plain() { return *loop().run(open(http_address)); }
  ConnectionPtr secure() { return *loop().run(open_tls()); }

  async::Task<Result<Reply>> ask_on(ConnectionPtr connection, http::RequestHead head,
                                    http::Body* body) {
    if (head.headers.find("host") == nullptr) head.headers.add("host", "hello.test");
    auto response = co_await http2::forward(connection, std::move(head), body, soon());
    if (!response) co_return fail(response.error().error);
    CO_TRY(std::string text, co_await http::read_all((*response)->body(), 100'000'000));
    co_return Reply{(*response)->head.status, std::move(text), (*response)->head.headers};
  }
  Reply get_on(const ConnectionPtr& connection, http::RequestHead head = {},
               http::Body* body = nullptr) {
    auto reply = loop().run(ask_on(connection, std::move(head), body));
    REQUIRE_MESSAGE(reply.has_value(), reply.error().context);
    return *std::move(reply);
  }
  std::uint64_t refused(const std::string& why) {
    const json::Value now = status();
    return static_cast<std::uint64_t>(*now.find("http2_refusals")->find(why)->integer());
  }

  crypto::KeyPair ca;
  async::TaskGroup connections{loop()};
};

class Text : public http::Body {
 public:
  explicit Text(std::string text) : text_(std::move(text)) {}
  async::Task<Result<std::size_t>> read(std::span<char> into) override {
    const std::size_t count = std::min(into.size(), text_.size() - taken_);
    std::ranges::copy(std::string_view(text_).substr(taken_, count), into.begin());
    taken_ += count;
    co_return count;
  }
  std::optional<std::uint64_t> length() const override { return std::nullopt; }
  http::Headers trailers() const override { return after; }
  http::Headers after{};

 private:
  std::string text_;
  std::size_t taken_ = 0;
};

TEST_CASE_FIXTURE(Users,
                  "the first bytes decide on a plain listener, what was agreed on over TLS") {
  Machine& machine = start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  start_all();
  CHECK(get().status == 200);
  CHECK(machine.last.headers.find("via")->starts_with("1.1 "));
  CHECK(get_on(plain()).body == "m1:");
  CHECK(*machine.last.headers.find("via") == "2.0 perigee");
  CHECK(*machine.last.headers.find("x-forwarded-proto") == "http");
  CHECK(machine.last.major_version == 1);
  const ConnectionPtr connection = secure();
  CHECK(get_on(connection).body == "m1:");
  CHECK(get_on(connection).header("via") == "1.1 perigee");
  CHECK(*machine.last.headers.find("x-forwarded-proto") == "https");
  CHECK(*machine.last.headers.find("host") == "hello.test");
}

TEST_CASE_FIXTURE(Users, "bodies and trailers cross both ways, to machines of either version") {
  for (const bool http2_app : {false, true}) {
    CAPTURE(http2_app);
    Users users;
    users.h2_backend = http2_app;
    Machine& machine = users.start_machine("m1", "127.0.0.1");
    users.target("m1", "127.0.0.1");
    users.start_all();
    const ConnectionPtr connection = users.secure();
    const std::string large(5'000'000, 'b');
    Text upload(large);
    CHECK(users.get_on(connection, {.method = "POST"}, &upload).body == "m1:" + large);
    CHECK(machine.last.major_version == (http2_app ? 2 : 1));
    Text streamed("streamed");
    streamed.after.add("x-end", "last");
    http::RequestHead head{.method = "POST", .target = "/stream"};
    head.headers.add("te", "trailers");
    head.headers.add("host", "hello.test");
    struct Go {
      static async::Task<Result<http::Headers>> run(Users& u, ConnectionPtr c, http::RequestHead h,
                                                    http::Body& b) {
        auto response = co_await http2::forward(c, std::move(h), &b, u.soon());
        if (!response) co_return fail(response.error().error);
        CO_TRY(const std::string text, co_await http::read_all((*response)->body(), 1000));
        CHECK(text == "streamed");
        co_return (*response)->body().trailers();
      }
    };
    const auto trailers = users.loop().run(Go::run(users, connection, head, streamed));
    REQUIRE(trailers.has_value());
    REQUIRE(trailers->find("x-end") != nullptr);
    CHECK(*trailers->find("x-end") == "last");
    CHECK(users.get_on(connection, {.target = "/headers"}).headers.count("set-cookie") == 2);
  }
}

TEST_CASE_FIXTURE(Users, "many requests of one connection run at once") {
  Machine& machine = start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  start_all();
  const ConnectionPtr connection = secure();
  async::TaskGroup asking(loop());
  struct Go {
    static async::Task<void> run(Users& u, ConnectionPtr c, int& done) {
      const auto reply = co_await u.ask_on(c, {.target = "/hold"}, nullptr);
      if (reply && reply->body == "m1:held") ++done;
    }
  };
  int done = 0;
  for (int i = 0; i < 50; ++i) asking.spawn(Go::run(*this, connection, done));
  for (int i = 0; i < 500 && machine.requests < 50; ++i) sleep(10ms);
  CHECK(machine.requests == 50);
  machine.release.set();
  loop().run(asking.drained());
  CHECK(done == 50);
}

TEST_CASE_FIXTURE(Users, "a host that the connection's certificate is not for is answered 421") {
  start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  start_all();
  const ConnectionPtr connection = secure();
  http::RequestHead other;
  other.headers.add("host", "other.test");
  CHECK(get_on(connection, other).status == 421);
  CHECK(refused("misdirected") == 1);
  http::RequestHead own;
  own.headers.add("host", "hello.test:8443");
  CHECK(get_on(connection, own).status == 200);
  CHECK(get_on(plain(), other).status == 404);  // no certificate to go by
}

TEST_CASE_FIXTURE(Users,
                  "an app of HTTP/2 is asked over few connections, and again after its end") {
  h2_backend = true;
  Machine& machine = start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  start_all();
  for (int i = 0; i < 20; ++i) REQUIRE(get().status == 200);
  CHECK(machine.last.major_version == 2);
  CHECK(servers.back()->connections() == 1);
  servers.clear();  // the app dies, and starts again
  sleep(50ms);
  CHECK(get().status >= 500);
  start_app(machine, "127.0.0.1");
  CHECK(get().status == 200);
}

TEST_CASE_FIXTURE(Users, "an app of HTTP/2 gets another connection where all streams are taken") {
  h2_backend = true;
  Machine& machine = start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  start_all();
  const int many = static_cast<int>(http2::kFromUsers.max_streams) + 20;  // as the machine allows
  const ConnectionPtr one = plain();
  const ConnectionPtr two = plain();
  async::TaskGroup asking(loop());
  struct Go {
    static async::Task<void> run(Users& u, ConnectionPtr c, int& done) {
      const auto reply = co_await u.ask_on(c, {.target = "/hold"}, nullptr);
      if (reply && reply->status == 200) ++done;
    }
  };
  int done = 0;
  for (int i = 0; i < many; ++i) asking.spawn(Go::run(*this, i % 2 == 0 ? one : two, done));
  for (int i = 0; i < 500 && machine.requests < many; ++i) sleep(10ms);
  CHECK(machine.requests == many);
  CHECK(servers.back()->connections() == 2);
  machine.release.set();
  loop().run(asking.drained());
  CHECK(done == many);
}

TEST_CASE_FIXTURE(Users, "a machine of HTTP/2 that leaves the routes ends what it has begun") {
  h2_backend = true;
  Machine& old = start_machine("m1", "127.0.0.1");
  start_machine("m2", "127.0.0.2");
  target("m1", "127.0.0.1");
  start_all();
  std::optional<Result<Reply>> held;
  struct Go {
    static async::Task<void> run(Users& u, std::optional<Result<Reply>>& to) {
      to.emplace(co_await u.ask(u.http_address, {.target = "/hold"}, {}));
    }
  };
  connections.spawn(Go::run(*this, held));
  loop().run(old.entered.wait());
  route.targets.clear();
  target("m2", "127.0.0.2");
  feed.add(route_line(2));
  for (int i = 0; i < 500 && get().body != "m2:"; ++i) sleep(10ms);
  CHECK(get().body == "m2:");
  CHECK_FALSE(held.has_value());
  old.release.set();
  for (int i = 0; i < 500 && !held; ++i) sleep(10ms);
  REQUIRE(held.has_value());
  REQUIRE(held->has_value());
  CHECK((*held)->body == "m1:held");
}

TEST_CASE_FIXTURE(Users, "an app of HTTP/2 that is asked to change the protocol answers as usual") {
  h2_backend = true;
  start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  start_all();
  const std::string answer = talk(
      "GET / HTTP/1.1\r\nHost: hello.test\r\nConnection: upgrade, close\r\nUpgrade: "
      "websocket\r\n\r\n");
  CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
}

// A WebSocket's bytes over a stream: what the machine says first, and an echo.
async::Task<Result<std::string>> talk_by_socket(Users& users, ConnectionPtr connection) {
  http::Headers fields;
  for (const auto& [name, value] : {std::pair(":method", "CONNECT"),
                                    {":protocol", "websocket"},
                                    {":scheme", "https"},
                                    {":authority", "hello.test"},
                                    {":path", "/socket"},
                                    {"sec-websocket-version", "13"}}) {
    fields.add(name, value);
  }
  CO_TRY(const http2::StreamPtr stream, connection->open(fields, http2::Ending::more_follows));
  CO_TRY_VOID(co_await connection->write(stream, "hello"));
  std::string all;
  std::array<char, 1000> buffer;
  while (all.size() < 8) {
    CO_TRY(const std::size_t count,
           co_await async::with_deadline(users.loop(), users.soon(),
                                         connection->read(stream, buffer), "socket"));
    if (count == 0) break;
    all.append(buffer.data(), count);
  }
  connection->finish(*stream, {});
  co_return all + " " + std::string(*stream->head->find(":status")) + " " +
      (stream->head->find("sec-websocket-accept") == nullptr ? "no key" : "a key");
}

TEST_CASE_FIXTURE(Users, "a WebSocket over HTTP/2 is one over HTTP/1.1 at the machine (RFC 8441)") {
  Machine& machine = start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  start_all();
  const auto said = loop().run(talk_by_socket(*this, secure()));
  REQUIRE_MESSAGE(said.has_value(), said.error().context);
  CHECK(*said == "m1:hello 200 no key");
  CHECK(machine.last.method == "GET");
  CHECK(machine.last.headers.find("sec-websocket-key")->size() == 24);
  CHECK(*machine.last.headers.find("connection") == "Upgrade");
}

TEST_CASE_FIXTURE(Users, "a user who resets a stream ends its request at the machine") {
  Machine& machine = start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  start_all();
  const ConnectionPtr connection = secure();
  {
    async::TaskGroup asking(loop());
    struct Go {
      static async::Task<void> run(Users& u, ConnectionPtr c) {
        std::ignore = co_await u.ask_on(c, {.target = "/hold"}, nullptr);
      }
    };
    asking.spawn(Go::run(*this, connection));
    loop().run(machine.entered.wait());
    sleep(50ms);
  }
  for (int i = 0; i < 500 && !machine.finished_hold; ++i) sleep(10ms);
  CHECK(machine.finished_hold);
  CHECK(get_on(connection).status == 200);
}

TEST_CASE_FIXTURE(Users, "a router that drains lets streams end, and takes no more connections") {
  Machine& machine = start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  start_all();
  const ConnectionPtr connection = secure();
  struct Go {
    static async::Task<void> run(Users& u, ConnectionPtr c, std::string& body) {
      const auto reply = co_await u.ask_on(c, {.target = "/hold"}, nullptr);
      if (reply) body = reply->body;
    }
    static async::Task<void> drain(Users& u) { co_await u.router->drain(u.soon()); }
  };
  std::string body;
  async::TaskGroup running(loop());
  running.spawn(Go::run(*this, connection, body));
  loop().run(machine.entered.wait());
  running.spawn(Go::drain(*this));
  for (int i = 0; i < 500 && !connection->going_away(); ++i) sleep(10ms);
  CHECK(connection->going_away());
  CHECK_FALSE(connection->lost());
  machine.release.set();
  loop().run(running.drained());
  CHECK(body == "m1:held");
}

TEST_CASE_FIXTURE(Users, "the access log says which version a user spoke") {
  start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  start_all();
  CHECK(get_on(secure(), {.target = "/two"}).status == 200);
  CHECK(get("/one").status == 200);
  loop().run(router->drain(soon()));
  std::ifstream file(directory + "/access.log");
  std::stringstream log;
  log << file.rdbuf();
  for (const auto& [path, version] : {std::pair("/two", 2), {"/one", 1}}) {
    std::string line;
    while (std::getline(log, line) && line.find(path) == std::string::npos) {
    }
    CHECK(line.find(fmt::format("\"http\":{}", version)) != std::string::npos);
  }
}

}  // namespace
}  // namespace perigee::router
