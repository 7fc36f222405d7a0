// A router and its successor on the same sockets: what is under way, what has just been accepted,
// and what comes, each finds somebody.
#include <optional>

#include "router/test_fixture.h"

namespace perigee::router {
namespace {

const std::string kGet = "GET / HTTP/1.1\r\nHost: hello.test\r\n\r\n";

struct Handover : Fixture {
  Handover() : socket(*sys::listen_socket(*sys::Address::parse("127.0.0.1:0"), 64)) {}
  ~Handover() {
    tasks.cancel_all();  // a drain may be under way
    successor.reset();
  }

  std::unique_ptr<sys::Listener> same_socket() {
    return *posix->adopt_listener(sys::Fd(::dup(socket.get())));
  }
  std::unique_ptr<Router> serve(Config config) {
    Listeners listeners;
    listeners.http.push_back(same_socket());
    http_address = listeners.http[0]->local();
    config.node = NodeId("n1");
    config.domain = "test";
    config.control = control;
    config.access_log = directory + "/access.log";
    config.proxy_from = proxy_from;
    auto made = std::make_unique<Router>(h(), std::move(config));
    tasks.spawn(made->run(std::move(listeners)));
    return made;
  }
  // Notes when it serves.
  Config watched(Duration patience) {
    Config config;
    config.routes_patience = patience;
    config.on_serving = [this] { serves = true; };
    return config;
  }
  void start() {
    publish();
    start_control();
    router = serve({});
    wait_for_routes();
  }
  void hand_over() {
    successor = serve(watched(10s));
    for (int i = 0; i < 500 && !serves; ++i) sleep(10ms);
    REQUIRE(serves);
    tasks.spawn(drain());
    sleep(20ms);
  }
  async::Task<void> drain() {
    co_await router->drain(loop().deadline_in(10s), Successor::serves);
    drained = loop().now();
  }

  std::unique_ptr<sys::Stream> connect() {
    auto stream = loop().run(h().network.connect(http_address, soon()));
    REQUIRE(stream.has_value());
    sleep(20ms);  // it is accepted
    return *std::move(stream);
  }
  void send(sys::Stream& stream, const std::string& text) {
    REQUIRE(loop().run(stream.write(text)).has_value());
  }
  // What comes, until it ends in `end`; "": nothing does.
  std::string hear(sys::Stream& stream, std::string_view end) {
    struct Go {
      static async::Task<Result<std::string>> run(sys::Stream& from, std::string_view until) {
        std::string all;
        std::array<char, 4096> buffer;
        while (!all.ends_with(until)) {
          CO_TRY(const std::size_t n, co_await from.read(buffer));
          if (n == 0) co_return fail(Code::end_of_stream, "after '{}'", all);
          all.append(buffer.data(), n);
        }
        co_return all;
      }
    };
    auto heard = loop().run(async::with_deadline(loop(), soon(), Go::run(stream, end), "hear"));
    return heard ? *heard : "";
  }
  std::string exchange(sys::Stream& stream) {
    send(stream, kGet);
    return hear(stream, "m1:");
  }
  static bool is_last(const std::string& answer) {
    return answer.starts_with("HTTP/1.1 200 ") &&
           answer.find("Connection: close\r\n") != std::string::npos;
  }

  sys::Fd socket;
  std::unique_ptr<Router> successor;
  bool serves = false;
  std::optional<MonotonicTime> drained;
};

TEST_CASE_FIXTURE(Handover, "what is under way is served, and told to turn to the successor") {
  Machine& machine = start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  start();
  const auto busy = connect();
  const auto kept = connect();
  const auto fresh = connect();  // has said nothing when the router begins to drain
  CHECK_FALSE(is_last(exchange(*kept)));
  send(*busy, "GET /hold HTTP/1.1\r\nHost: hello.test\r\n\r\n");
  loop().run(machine.entered.wait());
  hand_over();
  CHECK(is_last(exchange(*kept)));
  CHECK(is_last(exchange(*fresh)));
  const std::uint64_t before = router->state().counters.requests;
  CHECK_FALSE(is_last(exchange(*connect())));
  CHECK(successor->state().counters.requests == 1);
  CHECK(router->state().counters.requests == before);
  CHECK_FALSE(drained.has_value());
  machine.release.set();
  CHECK(is_last(hear(*busy, "m1:held")));
}

TEST_CASE_FIXTURE(Handover, "a drain is over with the last connection, not with its time") {
  start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  start();
  {
    const auto client = connect();
    exchange(*client);
    hand_over();
    CHECK_FALSE(drained.has_value());
  }
  for (int i = 0; i < 200 && !drained; ++i) sleep(10ms);
  CHECK(drained.has_value());
}

TEST_CASE_FIXTURE(Handover, "a client that asks nothing more is parted from before the end") {
  start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  start();
  const auto idle = connect();
  exchange(*idle);
  hand_over();
  const MonotonicTime begin = loop().now();
  CHECK(hear(*idle, "nothing ends in this").empty());
  CHECK(loop().now() - begin > kDrainPatience / 2);
  CHECK(loop().now() - begin < 9s);
}

TEST_CASE_FIXTURE(Handover, "a connection that was still looked into is served") {
  proxy_from = {*sys::IpPrefix::parse("127.0.0.0/8")};
  start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  start();
  const auto slow = connect();
  send(*slow, "PROXY TCP4 192.0.2.7 ");
  sleep(20ms);
  hand_over();
  send(*slow, "192.0.2.1 5555 80\r\n");
  CHECK(is_last(exchange(*slow)));
}

TEST_CASE_FIXTURE(Handover, "a successor waits for the routes as they are now, but not for ever") {
  start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  feed.add(R"({"version":1,"epoch":"e","revision":1,"snapshot":true})");
  start_control();
  successor = serve(watched(10s));
  sleep(200ms);
  CHECK_FALSE(serves);
  feed.add(route_line(1));
  feed.add(R"({"revision":1,"synced":true})");
  for (int i = 0; i < 500 && !serves; ++i) sleep(10ms);
  CHECK(serves);
  CHECK(exchange(*connect()).ends_with("m1:"));
  serves = false;
  feed_server.reset();  // control is gone
  router = serve(watched(300ms));
  for (int i = 0; i < 500 && !serves; ++i) sleep(10ms);
  CHECK(serves);
}

}  // namespace
}  // namespace perigee::router
