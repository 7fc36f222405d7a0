// One client can't have all of a router.
#include "router/care_fixture.h"

namespace perigee::router {
namespace {

// Clients behind a balancer, which tells who they are.
struct Told : CareFixture {
  Told() { proxy_from = {*sys::IpPrefix::parse("127.0.0.0/8")}; }
  std::unique_ptr<sys::Stream> connect_as(const std::string& client) {
    auto stream = loop().run(h().network.connect(http_address, soon()));
    REQUIRE_MESSAGE(stream.has_value(), stream.error().context);
    const std::string header = fmt::format("PROXY TCP4 {} 203.0.113.9 51000 80\r\n", client);
    REQUIRE(loop().run((*stream)->write(header)));
    return *std::move(stream);
  }
  // The first bytes of the answer to a request; "": closed without one.
  std::string ask_on(sys::Stream& stream) {
    struct Go {
      static async::Task<Result<std::string>> run(sys::Stream& s) {
        std::ignore = co_await s.write("GET / HTTP/1.1\r\nHost: hello.test\r\n\r\n");
        std::array<char, 12> buffer{};
        CO_TRY(const std::size_t count, co_await s.read(buffer));
        co_return std::string(buffer.data(), count);
      }
    };
    return loop().run(async::with_deadline(loop(), soon(), Go::run(stream), "ask")).value_or("");
  }
};

TEST_CASE_FIXTURE(Told, "a client has as many connections as it may, others have theirs") {
  connections_per_client = 20;
  start_named("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  start_all();
  std::vector<std::unique_ptr<sys::Stream>> all;
  for (std::size_t i = 0; i < connections_per_client; ++i) all.push_back(connect_as("192.0.2.7"));
  CHECK(ask_on(*all.back()) == "HTTP/1.1 200");
  CHECK(ask_on(*connect_as("192.0.2.7")).empty());
  CHECK(ask_on(*connect_as("192.0.2.8")) == "HTTP/1.1 200");
  all.pop_back();
  sleep(100ms);
  CHECK(ask_on(*connect_as("192.0.2.7")) == "HTTP/1.1 200");
}

TEST_CASE_FIXTURE(Told, "and as many requests, however few its connections are") {
  connections_per_client = 5;
  Machine& machine = start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  start_all();
  const auto connection =
      std::make_shared<http2::Connection>(loop(), connect_as("192.0.2.7"), http2::Role::client);
  async::TaskGroup asking(loop());
  struct Go {
    static async::Task<void> run(std::shared_ptr<http2::Connection> c) { co_await c->run(); }
    static async::Task<void> ask(Told& f, std::shared_ptr<http2::Connection> c, int& status) {
      http::RequestHead head{.method = "GET", .target = "/hold"};
      head.headers.add("host", "hello.test");
      const auto answer = co_await http2::forward(c, std::move(head), nullptr, f.soon());
      if (answer) status = (*answer)->head.status;
    }
  };
  asking.spawn(Go::run(connection));
  std::array<int, 6> statuses{};
  for (std::size_t i = 0; i < 5; ++i) asking.spawn(Go::ask(*this, connection, statuses[i]));
  for (int i = 0; i < 500 && machine.requests < 5; ++i) sleep(10ms);
  REQUIRE(machine.requests == 5);
  asking.spawn(Go::ask(*this, connection, statuses[5]));
  for (int i = 0; i < 500 && statuses[5] == 0; ++i) sleep(10ms);
  CHECK(statuses[5] == 429);
  machine.release.set();
  for (int i = 0; i < 500 && statuses[0] == 0; ++i) sleep(10ms);
  CHECK(statuses[0] == 200);
  asking.cancel_all();
}

}  // namespace
}  // namespace perigee::router
