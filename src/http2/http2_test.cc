#include "http2/test_fixture.h"

namespace perigee::http2 {
namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;

// Link with a round trip of `rtt`, whose TCP is not what holds streams back.
sim::Link far_link(Duration rtt, int loss_per_mille = 0) {
  return {.delay = rtt / 2, .jitter = 0us, .loss_per_mille = loss_per_mille, .window = 64 * kMiB};
}

struct Download {
  std::unique_ptr<http::Response> response;
  std::uint64_t bytes = 0;
  bool failed = false;
};

async::Task<void> download(SimPair& pair, std::uint64_t size, Download& result) {
  auto response = co_await forward(pair.client, SimPair::request(fmt::format("/bytes/{}", size)),
                                   nullptr, pair.soon());
  if (!response) {
    result.failed = true;
    co_return;
  }
  result.response = *std::move(response);
  const auto bytes = co_await count_all(result.response->body());
  result.failed = !bytes;
  result.bytes = bytes.value_or(0);
}

double mbit_per_second(std::uint64_t bytes, Duration time) {
  return static_cast<double>(bytes) * 8 / 1e6 / to_seconds(time);
}

TEST_CASE("a request crosses and its answer comes back") {
  SimPair pair;
  MadeBody body(5);
  const Reply reply = pair.ask("/where?q=1", &body, "POST");
  CHECK(reply.status == 200);
  CHECK(reply.body == "5");
  CHECK(*reply.headers.find("content-length") == "1");
  CHECK(pair.handler.last.method == "POST");
  CHECK(pair.handler.last.target == "/where?q=1");
  CHECK(*pair.handler.last.headers.find("host") == "app.test");
  CHECK(*pair.handler.last.headers.find("content-length") == "5");
}

TEST_CASE("fields of a connection do not cross, others do, with all their values") {
  SimPair pair;
  http::RequestHead head = SimPair::request("/");
  head.headers.add("Connection", "close");
  head.headers.add("Transfer-Encoding", "chunked");
  head.headers.add("Cookie", "a=1; b=2");
  head.headers.add("X-Two", "one");
  head.headers.add("X-Two", "two");
  auto response = pair.simulation.run(forward(pair.client, head, nullptr, pair.soon()));
  REQUIRE(response.has_value());
  const http::Headers& headers = pair.handler.last.headers;
  CHECK(headers.find("connection") == nullptr);
  CHECK(headers.find("transfer-encoding") == nullptr);
  CHECK(*headers.find("cookie") == "a=1; b=2");
  CHECK(headers.count("x-two") == 2);
}

TEST_CASE("a HEAD request has a length and no body") {
  SimPair pair;
  const Reply reply = pair.ask("/", nullptr, "HEAD");
  CHECK(*reply.headers.find("content-length") == "1");
  CHECK(reply.body.empty());
}

TEST_CASE("bodies stream both ways at once, in bounded memory") {
  SimPair pair(far_link(20ms));
  MadeBody body(64 * kMiB);
  auto response = pair.forward("/echo", &body, "POST");
  REQUIRE(response.has_value());
  CHECK(body.taken <
        kBetweenRouters.max_window + 2 * kMiB);  // the answer's window holds the request back
  const auto bytes = pair.simulation.run(count_all((*response)->body()));
  REQUIRE(bytes.has_value());
  CHECK(*bytes == 64 * kMiB);
  CHECK(pair.client->unread() == 0);
}

TEST_CASE("many requests share one connection, each with its own pace") {
  SimPair pair;
  std::vector<Download> all(kMaxStreams);
  for (Download& each : all) pair.tasks.spawn(download(pair, 100'000, each));
  pair.simulation.run_for(5s);
  CHECK(pair.handler.requests == kMaxStreams);
  for (const Download& each : all) CHECK(each.bytes == 100'000);
}

TEST_CASE("one stream fills a path of 300 ms, with the loss of long ways too") {
  for (const int loss_per_mille : {0, 1}) {
    SimPair pair(far_link(300ms, loss_per_mille));
    pair.client->ping();
    pair.simulation.run_for(1s);
    const MonotonicTime begun = pair.simulation.now();
    Download one;
    pair.simulation.run(download(pair, 64 * kMiB, one));
    CHECK(one.bytes == 64 * kMiB);
    const double rate = mbit_per_second(one.bytes, pair.simulation.now() - begun);
    MESSAGE("64 MiB over 300 ms, loss ", loss_per_mille, " per mille: ", rate, " Mbit/s");
    CHECK(rate > (loss_per_mille == 0 ? 90 : 60));
  }
}

TEST_CASE("an object of 1 MB comes in one round trip") {
  SimPair pair(far_link(300ms));
  pair.ask("/");
  const MonotonicTime begun = pair.simulation.now();
  Download one;
  pair.simulation.run(download(pair, 1'000'000, one));
  CHECK(one.bytes == 1'000'000);
  CHECK(pair.simulation.now() - begun < 320ms);
}

TEST_CASE("slow readers hold back their own streams alone") {
  SimPair pair(far_link(100ms));
  pair.client->ping();
  pair.simulation.run_for(1s);
  std::vector<std::unique_ptr<http::Response>> slow;
  for (int i = 0; i < 120; ++i) {  // none of them is ever read
    auto response = pair.forward(fmt::format("/bytes/{}", 64 * kMiB));
    REQUIRE(response.has_value());
    slow.push_back(*std::move(response));
  }
  pair.simulation.run_for(2s);
  CHECK(pair.client->unread() < kBetweenRouters.connection_window);
  const MonotonicTime begun = pair.simulation.now();
  Download fast;
  pair.simulation.run(download(pair, 8 * kMiB, fast));
  CHECK(fast.bytes == 8 * kMiB);
  CHECK(pair.simulation.now() - begun < 5s);
  CHECK(pair.client->unread() < kBetweenRouters.connection_window);
  slow.clear();
  pair.simulation.run_for(1s);
  CHECK(pair.client->unread() == 0);
}

TEST_CASE("an answer that is dropped cancels its request at the server") {
  SimPair pair;
  {
    Download one;
    pair.tasks.spawn(download(pair, 0, one));
    async::TaskGroup asking(pair.loop());
    struct Hold {
      static async::Task<void> run(SimPair& p) {
        std::ignore = co_await forward(p.client, SimPair::request("/hold"), nullptr, p.soon());
      }
    };
    asking.spawn(Hold::run(pair));
    pair.simulation.run_for(1s);
    CHECK(pair.handler.cancelled == 0);
  }
  pair.simulation.run_for(1s);
  CHECK(pair.handler.cancelled == 1);
  CHECK(pair.ask("/").status == 200);
}

TEST_CASE("an answer cut at the server does not seem whole") {
  SimPair pair;
  auto response = pair.forward("/half");
  REQUIRE(response.has_value());
  const auto text = pair.simulation.run(http::read_all((*response)->body(), 100));
  REQUIRE_FALSE(text.has_value());
  CHECK(text.error().code == Code::end_of_stream);
  CHECK(pair.ask("/none").status == 500);
}

TEST_CASE("an answer before the request's end ends the sending") {
  SimPair pair(far_link(20ms));
  MadeBody body(512 * kMiB);
  const Reply reply = pair.ask("/early", &body, "POST");
  CHECK(reply.status == 413);
  CHECK(reply.body == "too large");
  CHECK(body.taken < 16 * kMiB);
  CHECK(pair.ask("/").status == 200);
}

TEST_CASE("a body that fails fails its request, and the server never sees it whole") {
  SimPair pair(far_link(20ms));
  MadeBody body(2 * kMiB, Error::make(Code::end_of_stream, "the user went away"));
  const auto response = pair.forward("/", &body, "POST");
  REQUIRE_FALSE(response.has_value());
  CHECK(response.error().from_body);
  pair.simulation.run_for(1s);
  CHECK(pair.handler.requests == 1);
  CHECK(pair.handler.received == 0);
}

TEST_CASE("a request that got no answer in time was sent") {
  SimPair pair;
  const auto response = pair.simulation.run(
      forward(pair.client, SimPair::request("/hold"), nullptr, pair.loop().deadline_in(1s)));
  REQUIRE_FALSE(response.has_value());
  CHECK(response.error().error.code == Code::deadline_exceeded);
  CHECK(response.error().sent);
}

TEST_CASE("what a dying server may have acted on was sent, what comes after was not") {
  SimPair pair;
  struct Ask {
    static async::Task<void> run(SimPair& p, std::optional<Forwarded>& result) {
      result.emplace(co_await forward(p.client, SimPair::request("/hold"), nullptr, p.soon()));
    }
  };
  std::optional<Forwarded> held;
  pair.tasks.spawn(Ask::run(pair, held));
  pair.simulation.run_for(1s);
  pair.stop_server();
  pair.simulation.run_for(1s);
  REQUIRE(held.has_value());
  REQUIRE_FALSE(held->has_value());
  CHECK(held->error().sent);
  CHECK(pair.client->lost());
  const auto later = pair.forward("/");
  REQUIRE_FALSE(later.has_value());
  CHECK_FALSE(later.error().sent);
}

TEST_CASE("a server that drains ends what runs and refuses what follows") {
  SimPair pair;
  struct Ask {
    static async::Task<void> run(SimPair& p, std::optional<Forwarded>& result) {
      result.emplace(co_await forward(p.client, SimPair::request("/hold"), nullptr, p.soon()));
    }
  };
  std::optional<Forwarded> held;
  pair.tasks.spawn(Ask::run(pair, held));
  pair.simulation.run_for(100ms);
  pair.context.draining.set();
  pair.simulation.run_for(100ms);
  CHECK(pair.client->going_away());
  const auto late = pair.forward("/");
  REQUIRE_FALSE(late.has_value());
  CHECK_FALSE(late.error().sent);
  pair.simulation.run_for(2s);
  CHECK_FALSE(pair.client->lost());
  pair.handler.release.set();
  pair.simulation.run_for(1s);
  REQUIRE(held.has_value());
  REQUIRE(held->has_value());
  CHECK((**held)->head.status == 200);
  held.reset();
  pair.simulation.run_for(1s);
  CHECK(pair.client->lost());
}

TEST_CASE("pings measure the path") {
  SimPair pair(far_link(80ms));
  for (int i = 0; i < 3; ++i) {
    pair.client->ping();
    pair.simulation.run_for(1s);
  }
  CHECK(pair.client->rtt().lowest() == 80ms);
  CHECK(pair.client->rtt().smoothed() == 80ms);
}

TEST_CASE("a server closes a connection on which nothing comes any more") {
  SimPair pair;
  pair.simulation.run_for(kSilence - 1s);
  CHECK_FALSE(pair.client->lost());
  pair.simulation.run_for(2s);
  CHECK(pair.client->lost());
}

TEST_CASE("bytes that are not HTTP/2 end the connection") {
  SimPair pair;
  struct Talk {
    static async::Task<Result<std::size_t>> run(SimPair& p) {
      const auto at = *sys::Address::ip(sim::SimNetwork::address_of(1), 4283);
      auto listener = p.server_node->host().network.listen(at);
      auto stream = co_await p.client_node->host().network.connect(at, p.soon());
      auto accepted = co_await (*listener)->accept();
      ServerConnection connection(p.context, {.stream = *std::move(accepted)}, Counterpart::router);
      async::TaskGroup tasks(p.loop());
      tasks.spawn(connection.run());
      CO_TRY_VOID(co_await (*stream)->write("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
      co_await tasks.drained();
      co_return std::size_t{0};
    }
  };
  CHECK(pair.simulation.run(Talk::run(pair)).has_value());
  CHECK(pair.handler.requests == 0);
}

TEST_CASE("a head beyond the bound is refused, and the connection goes on") {
  SimPair pair;
  http::RequestHead head = SimPair::request("/");
  for (int i = 0; i < 100; ++i) head.headers.add(fmt::format("x-{}", i), std::string(900, 'v'));
  const auto response = pair.simulation.run(forward(pair.client, head, nullptr, pair.soon()));
  REQUIRE_FALSE(response.has_value());
  CHECK(pair.handler.requests == 0);
  CHECK(pair.ask("/").status == 200);
}

TEST_CASE("the same seed gives the same course") {
  const auto course = [] {
    SimPair pair({.delay = 20ms, .jitter = 5ms, .loss_per_mille = 10});
    MadeBody body(kMiB);
    std::ignore = pair.ask("/", &body, "POST");
    return pair.simulation.trace().hash();
  };
  CHECK(course() == course());
}

}  // namespace
}  // namespace perigee::http2
