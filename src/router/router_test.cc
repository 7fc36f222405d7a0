// The router between real sockets where all goes well: heads, bodies, routes, TLS, the log.
#include "router/test_fixture.h"

namespace perigee::router {
namespace {

TEST_CASE_FIXTURE(Fixture, "a request goes to its app's machine and back, heads as a proxy's") {
  Machine& machine = start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  start_all();
  const Reply reply = get("/path?q=1");
  CHECK(reply.status == 200);
  CHECK(reply.body == "m1:");
  CHECK(reply.header("via") == "1.1 perigee");
  CHECK(reply.header("perigee-request-id") == *machine.last.headers.find("perigee-request-id"));
  CHECK(reply.header("fly-request-id") == reply.header("perigee-request-id"));
  CHECK(machine.last.target == "/path?q=1");
  CHECK(*machine.last.headers.find("host") == "hello.test:8080");
  CHECK(*machine.last.headers.find("x-forwarded-for") == "127.0.0.1");
  CHECK(*machine.last.headers.find("x-forwarded-port") == std::to_string(http_address.port()));
  const Reply other = get("/headers");
  CHECK(other.status == 201);
  CHECK(other.headers.count("set-cookie") == 2);
  CHECK(get_host("HELLO.test.").status == 200);
}

TEST_CASE_FIXTURE(Fixture, "requests are spread over machines that listen, and go round refusals") {
  Machine& one = start_machine("m1", "127.0.0.1");
  Machine& two = start_machine("m2", "127.0.0.2");
  target("m1", "127.0.0.1");
  target("m2", "127.0.0.2");
  target("gone", "127.0.0.3");
  start_all();
  for (int i = 0; i < 12; ++i) CHECK(get().status == 200);
  CHECK(one.requests >= 3);
  CHECK(two.requests >= 3);
  CHECK(one.requests + two.requests == 12);
  CHECK(*status().find("counters")->find("connect_failures")->integer() >= 3);
}

TEST_CASE_FIXTURE(Fixture, "a machine that does not listen yet is waited for") {
  auto reserved = listen();
  port = reserved->local().port();
  reserved.reset();
  target("m1", "127.0.0.1", model::MachineState::started, false);
  start_all();
  struct Go {
    static async::Task<Result<Reply>> run(Fixture& f) {
      std::vector<async::Task<Result<Reply>>> tasks;
      tasks.push_back(f.ask(f.http_address, {.method = "POST"}, "body"));
      tasks.push_back(late(f));
      auto replies = co_await async::all_of(f.loop(), std::move(tasks));
      co_return std::move(replies[0]);
    }
    static async::Task<Result<Reply>> late(Fixture& f) {
      co_await f.loop().sleep(150ms);
      f.start_machine("m1", "127.0.0.1");
      co_return Reply{};
    }
  };
  const auto reply = loop().run(Go::run(*this));
  REQUIRE(reply.has_value());
  CHECK(reply->status == 200);
  CHECK(reply->body == "m1:body");
}

TEST_CASE_FIXTURE(Fixture, "a machine that starts is waited for until the feed tells") {
  start_machine("m1", "127.0.0.1");
  target("m1", "", model::MachineState::starting, false);
  start_all();
  struct Go {
    static async::Task<Result<Reply>> late(Fixture& f) {
      co_await f.loop().sleep(60ms);
      f.route.targets.clear();
      f.target("m1", "127.0.0.1");
      f.feed.add(f.route_line(2));
      co_return Reply{};
    }
  };
  std::vector<async::Task<Result<Reply>>> tasks_of_test;
  tasks_of_test.push_back(ask(http_address, {}, {}));
  tasks_of_test.push_back(Go::late(*this));
  auto replies = loop().run(async::all_of(loop(), std::move(tasks_of_test)));
  REQUIRE(replies[0].has_value());
  CHECK(replies[0]->status == 200);
}

TEST_CASE_FIXTURE(Fixture, "large bodies stream both ways") {
  start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  start_all();
  const std::string big(5'000'000, 'b');
  for (const char* path : {"/stream", "/echo"}) {
    const auto reply = loop().run(ask(http_address, {.method = "POST", .target = path}, big));
    REQUIRE(reply.has_value());
    CHECK(reply->body.size() == big.size() + (path[1] == 'e' ? 3 : 0));
  }
}

TEST_CASE_FIXTURE(Fixture, "force_https redirects: 301 for GET, 308 for POST, to the https port") {
  start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  route_line(1);
  route.services[0].ports[0].force_https = true;
  start_all();
  const Reply reply = get("/a?b");
  CHECK(reply.status == 301);
  CHECK(reply.header("location") == fmt::format("https://hello.test:{}/a?b", https_address.port()));
  CHECK(loop().run(ask(http_address, {.method = "POST"}, "x"))->status == 308);
}

// A page over TLS, as text.
struct GetSecurely {
  static async::Task<Result<std::string>> run(Fixture& f, crypto::TlsClient& c) {
    CO_TRY(auto stream, co_await f.h().network.connect(f.https_address, f.soon()));
    CO_TRY(auto secure, co_await c.connect(std::move(stream), "hello.test"));
    CO_TRY_VOID(
        co_await secure->write("GET / HTTP/1.1\r\nHost: hello.test\r\nConnection: close\r\n\r\n"));
    std::string all;
    std::vector<char> buffer(4096);
    for (;;) {
      CO_TRY(const std::size_t n, co_await secure->read(buffer));
      if (n == 0) co_return all;
      all.append(buffer.data(), n);
    }
  }
};

TEST_CASE_FIXTURE(Fixture, "https with the certificate that the feed brings, and takes away") {
  Machine& machine = start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  const auto ca = *crypto::create_ca("test", h().clock.wall());
  const auto leaf = *crypto::issue(ca, {"hello.test"}, h().clock.wall(), 30);
  route.certificates = {sealed_certificate("hello.test", leaf)};
  start_all();
  auto tls = *crypto::TlsClient::create(ca.certificate_pem);
  const auto answer = loop().run(GetSecurely::run(*this, *tls));
  REQUIRE_MESSAGE(answer.has_value(), answer.error().context);
  CHECK(answer->ends_with("\r\n\r\nm1:"));
  CHECK(*machine.last.headers.find("x-forwarded-proto") == "https");
  CHECK(status().dump().find("PRIVATE KEY") == std::string::npos);
  CHECK(status().dump().find("sealed1:") == std::string::npos);
  feed.add(R"({"revision":2,"key":"/routes/hello","value":null})");
  sleep(50ms);
  CHECK_FALSE(loop().run(GetSecurely::run(*this, *tls)).has_value());
}

TEST_CASE_FIXTURE(Fixture, "an authority's question is answered before any redirect") {
  start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  route_line(1);  // fills the services
  route.services[0].ports[0].force_https = true;
  route.hosts = {"hello.test", "*.shop.test"};
  route.challenges = {{.host = "hello.test",
                       .type = model::ChallengeType::http_01,
                       .token = "tok",
                       .answer = "tok.thumb"}};
  start_all();
  const std::string page = "/.well-known/acme-challenge/";
  CHECK(get(page + "tok").status == 200);
  CHECK(get(page + "tok").body == "tok.thumb");
  CHECK(get(page + "other").status == 301);
  CHECK(get(page).status == 301);
  CHECK(get_host("www.shop.test").status == 301);
  CHECK(get_host("a.www.shop.test").status == 404);
}

// What is agreed on by who comes as an authority does; "refused".
struct ComeForAcme {
  static async::Task<std::string> run(Fixture& f) {
    const auto tls = *crypto::TlsClient::create("", crypto::TlsClient::Verify::no, {"acme-tls/1"});
    auto stream = co_await f.h().network.connect(f.https_address, f.soon());
    if (!stream) co_return "no connection";
    const auto secure = co_await tls->connect(*std::move(stream), "hello.test");
    co_return secure ? crypto::agreed_protocol(**secure) : "refused";
  }
};

TEST_CASE_FIXTURE(Fixture, "an authority that comes by TLS is shown what the router makes for it") {
  start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  route.challenges = {{.host = "hello.test",
                       .type = model::ChallengeType::tls_alpn_01,
                       .token = "tok",
                       .answer = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"}};
  start_all();
  CHECK(loop().run(ComeForAcme::run(*this)) == "acme-tls/1");
  route.challenges.clear();
  feed.add(route_line(2));
  sleep(50ms);
  CHECK(loop().run(ComeForAcme::run(*this)) == "refused");
}

TEST_CASE_FIXTURE(Fixture,
                  "a certificate whose key is sealed with a newer key waits for that one") {
  start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  const auto ca = *crypto::create_ca("test", h().clock.wall());
  const auto leaf = *crypto::issue(ca, {"hello.test"}, h().clock.wall(), 30);
  const auto tls = crypto::TlsClient::create(ca.certificate_pem);
  publish();
  start_control();
  start_router();
  wait_for_routes();
  REQUIRE(ring.rotate(h().entropy, {}).has_value());
  route.certificates = {sealed_certificate("hello.test", leaf)};
  feed.add(route_line(2));
  sleep(50ms);
  CHECK_FALSE(loop().run(GetSecurely::run(*this, **tls)).has_value());
  feed.keys = keys().to_json().dump();
  bool served = false;
  for (int i = 0; i < 200 && !served; ++i) {
    sleep(50ms);
    served = loop().run(GetSecurely::run(*this, **tls)).has_value();
  }
  CHECK(served);
}

TEST_CASE_FIXTURE(Fixture,
                  "routes outlive control and the router, and the feed goes on where it was") {
  start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  start_all();
  feed_server.reset();  // control is gone
  CHECK(get().status == 200);
  CHECK(status().find("feed_connected")->boolean() == false);

  loop().run(router->drain(soon()));
  router.reset();
  start_router();
  wait_for_routes();
  CHECK(get().status == 200);
  CHECK(status().find("routes_from_disk")->boolean() == true);
  feed.lines = {R"({"version":1,"epoch":"e","revision":1,"snapshot":false})"};
  feed.add(R"({"revision":2,"key":"/routes/hello","value":null})");
  start_control();
  for (int i = 0; i < 500 && !router->state().table->apps().empty(); ++i) sleep(10ms);
  CHECK(feed.targets.back() == "/internal/v1/feed/routes?from=e-1");
  CHECK(get().status == 404);
}

TEST_CASE_FIXTURE(Fixture, "router.sock answers what it is for and nothing else") {
  start_machine("m1", "127.0.0.1");
  start_all();
  CHECK(loop().run(ask(status_address, {.target = "/other"}, {}))->status == 404);
  CHECK(loop()
            .run(ask(status_address, {.method = "POST", .target = "/internal/v1/status"}, {}))
            ->status == 405);
}

TEST_CASE_FIXTURE(Fixture, "each request leaves a line in the access log") {
  start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  start_all();
  get("/a?secret=1");
  get_host("other.test");
  loop().run(router->drain(soon()));
  std::ifstream file(directory + "/access.log");
  std::vector<json::Value> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(*json::parse(line));
  REQUIRE(lines.size() == 2);
  CHECK(*lines[0].find("path")->string() == "/a");
  CHECK(*lines[0].find("app")->string() == "hello");
  CHECK(*lines[0].find("machine")->string() == "m1");
  CHECK(lines[0].find("bytes")->integer() == 3);
  CHECK(lines[1].find("status")->integer() == 404);
  CHECK(lines[1].find("reason")->string()->starts_with("unknown_app"));
}

}  // namespace
}  // namespace perigee::router
