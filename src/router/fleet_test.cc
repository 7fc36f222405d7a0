// Routers of three nodes in one process, on real loopback sockets: a request that comes in at one
// and runs at another.
#include "base/text.h"
#include "http/upgrade.h"
#include "router/fleet_fixture.h"

namespace perigee::router {
namespace {

// A body that is never whole in memory.
class MadeBody : public http::Body {
 public:
  explicit MadeBody(std::uint64_t size) : left_(size) {}
  async::Task<Result<std::size_t>> read(std::span<char> into) override {
    const std::size_t count = std::min<std::uint64_t>(into.size(), left_);
    std::ranges::fill(into.first(count), 'x');
    left_ -= count;
    co_return count;
  }
  std::optional<std::uint64_t> length() const override { return std::nullopt; }
  http::Headers trailers() const override { return after; }
  http::Headers after{};

 private:
  std::uint64_t left_;
};

// A body of 64 MiB that was ever whole in memory, either way, would be beyond it. AddressSanitizer
// keeps 256 MiB of freed memory back.
#if __has_feature(address_sanitizer)
constexpr std::size_t kMaxGrowthMib = 256 + 60;
#else
constexpr std::size_t kMaxGrowthMib = 40;
#endif

std::size_t peak_memory_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoul(line.substr(6)) / 1024;
  }
  return 0;
}

TEST_CASE_FIXTURE(Fleet, "a request crosses to the machine of another node, and its answer back") {
  Machine& machine = start_machine("m2", ip_of(2));
  place("m2", 2);
  start_fleet();
  http::RequestHead head{.method = "POST", .target = "/path?q=1"};
  head.headers.add("perigee-hop-machine", "another");
  head.headers.add("X-Forwarded-For", "198.51.100.7");
  const auto reply = loop().run(ask(http_address, std::move(head), "body"));
  REQUIRE(reply.has_value());
  CHECK(reply->status == 200);
  CHECK(reply->body == "m2:body");
  CHECK(reply->header("via") == "1.1 perigee");
  CHECK(machine.last.target == "/path?q=1");
  CHECK(*machine.last.headers.find("host") == "hello.test:8080");
  CHECK(*machine.last.headers.find("x-forwarded-for") == "198.51.100.7, 127.0.0.1");
  CHECK(*machine.last.headers.find("fly-region") == "r01");
  CHECK(reply->header("perigee-request-id") == *machine.last.headers.find("perigee-request-id"));
  for (const http::Headers& headers : {machine.last.headers, reply->headers}) {
    for (const auto& [name, value] : headers.fields()) {
      CHECK_FALSE(to_lower(name).starts_with("perigee-hop-"));
    }
  }
  const json::Value line = last_log_line(1);
  CHECK(*line.find("machine")->string() == "m2");
  CHECK(*line.find("machine_node")->string() == "n2");
  CHECK(state(2).counters.backhaul_requests == 1);
  CHECK(state(1).remote_loads.in_flight("m2") <= 1);
}

TEST_CASE_FIXTURE(Fleet, "64 MiB go to a machine of another node and back, in bounded memory") {
  start_machine("m2", ip_of(2));
  place("m2", 2);
  start_fleet();
  constexpr std::uint64_t kSize = 64 * 1024 * 1024;
  const std::size_t before = peak_memory_mib();
  struct Go {
    static async::Task<Result<std::uint64_t>> run(Fleet& f) {
      MadeBody body(kSize);
      http::RequestHead head{.method = "POST", .target = "/stream"};
      head.headers.add("Host", "hello.test");
      auto response = co_await f.client.forward(f.http_address, std::move(head), &body, f.soon());
      if (!response) co_return fail(std::move(response).error().error);
      std::vector<char> buffer(64 * 1024);
      std::uint64_t total = 0;
      for (;;) {
        CO_TRY(const std::size_t count, co_await (*response)->body().read(buffer));
        if (count == 0) co_return total;
        total += count;
      }
    }
  };
  const auto total = loop().run(Go::run(*this));
  REQUIRE_MESSAGE(total.has_value(), total.error().context);
  CHECK(*total == kSize);
  CHECK(peak_memory_mib() - before < kMaxGrowthMib);
}

TEST_CASE_FIXTURE(Fleet, "a full machine refuses, and the request goes to another node") {
  route_line(1);
  route.services[0].concurrency = {.soft_limit = 1, .hard_limit = 1};
  Machine& full = start_machine("m2", ip_of(2));
  Machine& other = start_machine("m3", ip_of(3));
  place("m2", 2);
  start_fleet();
  std::optional<Result<Reply>> held;
  tasks.spawn(ask_into(*this, {.target = "/hold"}, held, 2));  // n1 does not know of it
  for (int i = 0; i < 500 && !full.entered.is_set(); ++i) sleep(10ms);
  REQUIRE(full.entered.is_set());
  place("m3", 3);
  feed.add(route_line(2));
  sleep(100ms);
  for (int i = 0; i < 4; ++i) {
    const auto reply = loop().run(ask(http_address, {.method = "POST"}, "body"));
    REQUIRE(reply.has_value());
    CHECK(reply->body == "m3:body");  // a body that had begun to cross comes whole
  }
  CHECK(other.requests == 4);
  CHECK(full.requests == 1);
  CHECK(state(2).counters.refusals >= 1);
  full.release.set();
  for (int i = 0; i < 500 && !held; ++i) sleep(10ms);
  REQUIRE(held.has_value());
}

TEST_CASE_FIXTURE(Fleet, "what other nodes' users do with a machine is known where it is chosen") {
  route_line(1);
  route.services[0].concurrency = {
      .soft_limit = 1, .hard_limit = 0, .balancing = model::Balancing::balanced};
  Machine& busy = start_machine("m2", ip_of(2));
  Machine& other = start_machine("m3", ip_of(3));
  place("m2", 2);
  place("m3", 3);
  start_fleet();
  for (int i = 0; i < 2; ++i) CHECK(get().status == 200);  // from here on loads are followed
  std::optional<Result<Reply>> held;
  http::RequestHead head{.target = "/hold"};
  head.headers.add("perigee-force-machine", "m2");
  tasks.spawn(ask_into(*this, std::move(head), held, 2));
  for (int i = 0; i < 500 && !busy.entered.is_set(); ++i) sleep(10ms);
  REQUIRE(busy.entered.is_set());
  const auto load = [&] { return state(1).remote_loads.in_flight("m2"); };
  for (int i = 0; i < 500 && load() == 0; ++i) sleep(10ms);
  CHECK(load() == 1);
  const int before = other.requests;
  for (int i = 0; i < 4; ++i) CHECK(get().body == "m3:");
  CHECK(other.requests == before + 4);
  CHECK(load() == 1);
  busy.release.set();
  for (int i = 0; i < 500 && load() > 0; ++i) sleep(10ms);
  CHECK(load() == 0);
  for (int i = 0; i < 500 && !held; ++i) sleep(10ms);
  REQUIRE(held.has_value());
}

TEST_CASE_FIXTURE(Fleet, "where every machine of every node is full, the page says so") {
  queue_bound = 300ms;
  route_line(1);
  route.services[0].concurrency = {.soft_limit = 1, .hard_limit = 1};
  Machine& full = start_machine("m2", ip_of(2));
  place("m2", 2);
  start_fleet();
  const Reply reply = while_held("/", full);
  CHECK(reply.status == 503);
  CHECK(reply.body.find("at_hard_limit") != std::string::npos);
  CHECK(reply.header("retry-after") == "1");
}

TEST_CASE_FIXTURE(Fleet, "a request that a dying node may have acted on is not sent again") {
  Machine& dying = start_machine("m2", ip_of(2));
  place("m2", 2);
  start_fleet();
  Machine& other = start_machine("m3", ip_of(3));
  std::optional<Result<Reply>> reply;
  tasks.spawn(ask_into(*this, {.method = "POST", .target = "/hold"}, reply));
  for (int i = 0; i < 500 && !dying.entered.is_set(); ++i) sleep(10ms);
  REQUIRE(dying.entered.is_set());
  place("m3", 3);
  feed.add(route_line(2));
  sleep(50ms);
  stop_site(2);
  for (int i = 0; i < 500 && !reply; ++i) sleep(10ms);
  REQUIRE(reply.has_value());
  REQUIRE(reply->has_value());
  CHECK((*reply)->status == 502);
  CHECK((*reply)->body.find("n2") != std::string::npos);  // the page names the node
  CHECK(other.requests == 0);
  CHECK(get().body == "m3:");
}

TEST_CASE_FIXTURE(Fleet, "a GET goes elsewhere however long it was at the node that died") {
  reach_bound = 200ms;
  Machine& dying = start_machine("m2", ip_of(2));
  place("m2", 2);
  start_fleet();
  Machine& other = start_machine("m3", ip_of(3));
  std::optional<Result<Reply>> reply;
  tasks.spawn(ask_into(*this, {.target = "/hold"}, reply));
  for (int i = 0; i < 500 && !dying.entered.is_set(); ++i) sleep(10ms);
  REQUIRE(dying.entered.is_set());
  place("m3", 3);
  feed.add(route_line(2));
  sleep(2 * reach_bound);
  other.release.set();
  stop_site(2);
  for (int i = 0; i < 500 && !reply; ++i) sleep(10ms);
  REQUIRE(reply.has_value());
  REQUIRE(reply->has_value());
  CHECK((*reply)->status == 200);
  CHECK(other.requests == 1);
}

TEST_CASE_FIXTURE(Fleet, "a GET that a machine cut without an answer is sent again elsewhere") {
  start_machine("m2", ip_of(2));
  place("m2", 2);
  start_fleet();
  Machine& other = start_machine("m3", ip_of(3));
  servers[0].reset();  // m2's, whose connections are reset from now on
  place("m3", 3);
  feed.add(route_line(2));
  sleep(100ms);
  for (int i = 0; i < 3; ++i) CHECK(get().body == "m3:");
  CHECK(other.requests == 3);
}

TEST_CASE_FIXTURE(Fleet, "an answer that a machine of another node cuts does not seem whole") {
  start_machine("m2", ip_of(2));
  place("m2", 2);
  start_fleet();
  const auto half = loop().run(ask(http_address, {.target = "/half"}, {}));
  CHECK_FALSE(half.has_value());  // cut: it does not seem whole
  CHECK(get().status == 200);
}

TEST_CASE_FIXTURE(Fleet, "this node's own machine is nearer than another's, until it is busy") {
  route_line(1);
  route.services[0].concurrency = {
      .soft_limit = 1, .hard_limit = 0, .balancing = model::Balancing::balanced};
  Machine& near = start_machine("m1", ip_of(1));
  start_machine("m2", ip_of(2));
  place("m1", 1);
  place("m2", 2);
  start_fleet();
  for (int i = 0; i < 5; ++i) CHECK(get().body == "m1:");
  CHECK(while_held("/", near).body == "m2:");
}

// gRPC's shape: the status is behind the body.
struct Trailed {
  static async::Task<Result<http::Headers>> run(Fleet& f, std::uint64_t size, bool wanted) {
    MadeBody body(size);
    body.after.add("grpc-status", "0");
    body.after.add("Fly-Client-IP", "6.6.6.6");
    body.after.add("perigee-hop-refused", "gone");
    http::RequestHead head{.method = "POST", .target = "/stream"};
    head.headers.add("Host", "hello.test");
    if (wanted) head.headers.add("TE", "trailers");
    auto response = co_await f.client.forward(f.http_address, std::move(head), &body, f.soon());
    if (!response) co_return fail(response.error().error);
    CO_TRY(const std::string text, co_await http::read_all((*response)->body(), 10'000'000));
    CHECK(text.size() == size);
    co_return (*response)->body().trailers();
  }
};

TEST_CASE_FIXTURE(Fleet, "trailers reach a machine here and on another node, and come back") {
  for (const int node : {1, 2}) {
    const std::string name = fmt::format("m{}", node);
    Machine& machine = start_machine(name, ip_of(node));
    route.targets.clear();
    place(name, node);
    if (node == 1) {
      start_fleet();
    } else {
      feed.add(route_line(2));
      wait_for_only(1, name);
      wait_for_only(2, name);
    }
    for (const std::uint64_t size : {0U, 3U, 300'000U}) {
      const auto back = loop().run(Trailed::run(*this, size, true));
      REQUIRE_MESSAGE(back.has_value(), back.error().context);
      REQUIRE(back->fields().size() == 1);
      CHECK(*back->find("grpc-status") == "0");
    }
    CHECK(*machine.last.headers.find("te") == "trailers");
    CHECK(loop().run(Trailed::run(*this, 3, false)).value().fields().empty());
    CHECK(machine.last.headers.find("te") == nullptr);
    CHECK(machine.requests == 4);
  }
}

// The head of the answer, and what is heard after words were said; empty where it was no change.
struct Socket {
  static async::Task<Result<std::string>> run(Fleet& f, std::string target, std::string words,
                                              std::string expected) {
    http::RequestHead head{.target = std::move(target)};
    head.headers.add("Host", "hello.test");
    head.headers.add("Upgrade", "websocket");
    CO_TRY(auto answer, co_await http::upgrade(f.h(), f.http_address, std::move(head), f.soon()));
    if (!answer.stream) co_return fmt::format("{} {}", answer.head.status, answer.body);
    const std::string_view* accepted = answer.head.headers.find("sec-websocket-accept");
    if (accepted == nullptr || *accepted != "accepted") co_return std::string("not accepted");
    CO_TRY_VOID(co_await answer.stream->write(words));
    std::string heard;
    std::vector<char> buffer(1000);
    while (heard.size() < expected.size()) {
      CO_TRY(const std::size_t count, co_await answer.stream->read(buffer));
      if (count == 0) break;
      heard.append(buffer.data(), count);
    }
    co_return heard;
  }
};

TEST_CASE_FIXTURE(Fleet, "a WebSocket reaches its machine here and on another node") {
  Machine& here = start_machine("m1", ip_of(1));
  place("m1", 1);
  start_fleet();
  const auto talk_to = [this](const std::string& name) {
    const std::string expected = name + ":hello";
    return loop().run(Socket::run(*this, "/socket", "hello", expected)).value_or("error");
  };
  CHECK(talk_to("m1") == "m1:hello");
  CHECK(*here.last.headers.find("x-forwarded-for") == "127.0.0.1");
  Machine& there = start_machine("m2", ip_of(2));
  route.targets.clear();
  place("m2", 2);
  feed.add(route_line(2));
  sleep(100ms);
  for (int i = 0; i < 5; ++i) CHECK(talk_to("m2") == "m2:hello");
  CHECK(there.requests == 5);
  CHECK(*there.last.headers.find("x-forwarded-for") == "127.0.0.1");
  const json::Value line = last_log_line(1);
  CHECK(*line.find("status")->integer() == 101);
  CHECK(*line.find("machine_node")->string() == "n2");
  CHECK(state(2).loads.of("m2") == 0);  // over, and not counted any more
}

TEST_CASE_FIXTURE(Fleet, "a machine that does not change the protocol answers as ever") {
  start_machine("m2", ip_of(2));
  place("m2", 2);
  start_fleet();
  CHECK(loop().run(Socket::run(*this, "/", "", "")).value_or("error") == "200 m2:");
}

TEST_CASE_FIXTURE(Fleet, "a WebSocket to a machine that is gone gets an error page") {
  reach_bound = 300ms;
  start_machine("m2", ip_of(2));
  place("m2", 2);
  start_fleet();
  servers[0].reset();
  const auto answer = loop().run(Socket::run(*this, "/socket", "", "")).value_or("error");
  CHECK(answer.starts_with("502 "));
}

TEST_CASE_FIXTURE(Fleet, "a user who goes away ends the request on the other node") {
  Machine& machine = start_machine("m2", ip_of(2));
  place("m2", 2);
  start_fleet();
  {
    async::TaskGroup asking(loop());
    std::optional<Result<Reply>> reply;
    asking.spawn(ask_into(*this, {.target = "/hold"}, reply));
    for (int i = 0; i < 500 && !machine.entered.is_set(); ++i) sleep(10ms);
    REQUIRE(machine.entered.is_set());
  }
  for (int i = 0; i < 500 && !machine.finished_hold; ++i) sleep(10ms);
  CHECK(machine.finished_hold);
}

TEST_CASE_FIXTURE(Fleet, "who is no node of the fleet is not served at the backhaul") {
  start_machine("m2", ip_of(2));
  place("m2", 2);
  start_fleet();
  // From 127.0.0.1, which is n1's address, until n1 is a node no longer.
  struct Knock {
    static async::Task<Result<std::size_t>> run(Fleet& f) {
      const auto to = *sys::Address::ip(ip_of(2), f.backhaul_port);
      CO_TRY(auto stream, co_await f.h().network.connect(to, f.soon()));
      CO_TRY_VOID(co_await stream->write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
      std::array<char, 64> buffer{};
      co_return co_await stream->read(buffer);
    }
  };
  CHECK(loop().run(Knock::run(*this)).value_or(0) > 0);
  feed.add(R"({"revision":2,"key":"/nodes/n1","value":null})");
  sleep(100ms);
  CHECK(loop().run(Knock::run(*this)).value_or(0) == 0);
}

TEST_CASE_FIXTURE(Fleet, "nodes are kept on disk with the routes") {
  start_machine("m2", ip_of(2));
  place("m2", 2);
  start_fleet();
  sleep(100ms);
  feed_server.reset();
  stop_site(1);
  start_site(1);
  for (int i = 0; i < 500 && state(1).table->nodes().empty(); ++i) sleep(10ms);
  http_address = sites[1].http;
  CHECK(state(1).from_disk);
  CHECK(get().body == "m2:");
}

}  // namespace
}  // namespace perigee::router
