// Users' TCP connections through the router, on real sockets: as they are, with half-closes, PROXY
// headers, retries and bounds.
#include "proxy_protocol/text_header.h"
#include "router/tcp_fixture.h"

namespace perigee::router {
namespace {

using model::Handler;

TEST_CASE_FIXTURE(TcpFixture, "a connection is carried as it is, each end of it by itself") {
  TcpMachine& machine = start_tcp("m1", "127.0.0.1");
  serve({});
  start_all();
  const auto client = connect();
  CHECK(exchange(*client, "a", "m1:a") == "m1:a");
  CHECK(router->state().loads.of("m1") == 1);
  CHECK(exchange(*client, "bc", "m1:bc") == "m1:bc");
  REQUIRE(client->shutdown_write().has_value());
  CHECK(rest(*client) == ":bye");  // what comes after the client's end still arrives
  CHECK(machine.got == "abc");
  sleep(50ms);
  CHECK(router->state().loads.of("m1") == 0);
  CHECK(counters().passed_on == 1);
  CHECK(counters().to_machines == 3);
  CHECK(*status().find("tcp")->find("bytes_to_users")->integer() == 13);
}

TEST_CASE_FIXTURE(TcpFixture, "no byte is lost where much is under way both ways") {
  TcpMachine& machine = start_tcp("", "127.0.0.1");
  serve({});
  start_all();
  const auto client = connect();
  std::string all;
  for (int i = 0; i < 400'000; ++i) all += std::to_string(i);
  struct Send {
    static async::Task<void> run(sys::Stream& stream, const std::string& text) {
      std::ignore = co_await stream.write(text);
      std::ignore = stream.shutdown_write();
    }
  };
  tasks.spawn(Send::run(*client, all));
  const std::string answer = rest(*client);
  CHECK(machine.got == all);
  CHECK(answer.size() > all.size());
  CHECK(answer.ends_with(":bye"));
}

TEST_CASE_FIXTURE(TcpFixture, "a port that is nobody's is closed") {
  start_tcp("m1", "127.0.0.1");
  serve({});
  route.addresses = {"203.0.113.1"};
  start_all();
  const auto client = connect();
  CHECK(rest(*client).empty());
  CHECK(counters().no_service == 1);
  CHECK(counters().accepted == 0);
}

TEST_CASE_FIXTURE(TcpFixture, "a port that an app has claimed at the nodes' addresses is its own") {
  start_tcp("m1", "127.0.0.1");
  serve({});
  route.addresses.clear();
  route.shared_ports = {fmt::format("tcp/{}", users.port())};
  start_all();
  const auto client = connect();
  CHECK(exchange(*client, "x", "m1:x") == "m1:x");
}

TEST_CASE_FIXTURE(TcpFixture, "a machine that does not listen is passed over for another") {
  TcpMachine& machine = start_tcp("m1", "127.0.0.1");
  target("m0", "127.0.0.9");
  serve({});
  start_all();
  for (int i = 0; i < 4; ++i) {
    const auto client = connect();
    CHECK(exchange(*client, "x", "m1:x") == "m1:x");
  }
  CHECK(machine.accepted == 4);
  CHECK(router->state().counters.connect_failures >= 1);
}

TEST_CASE_FIXTURE(TcpFixture,
                  "where no machine takes it the connection ends, and the log says why") {
  target("m0", "127.0.0.9");
  serve({});
  port = 9;
  reach_bound = 200ms;
  start_all();
  CHECK(rest(*connect()).empty());
  CHECK(counters().unplaced == 1);
  sleep(300ms);
  std::ifstream file(directory + "/access.log");
  const std::string log{std::istreambuf_iterator<char>(file), {}};
  CHECK(log.find("\"method\":\"TCP\"") != std::string::npos);
  CHECK(log.find("machine m0") != std::string::npos);
}

TEST_CASE_FIXTURE(TcpFixture, "connections count against the hard limit, and end counts them off") {
  start_tcp("m1", "127.0.0.1");
  serve({});
  route.services[0].concurrency = {.soft_limit = 1, .hard_limit = 1};
  queue_bound = 200ms;
  start_all();
  auto first = connect();
  CHECK(exchange(*first, "x", "m1:x") == "m1:x");
  CHECK(rest(*connect()).empty());
  first.reset();
  sleep(100ms);
  CHECK(exchange(*connect(), "y", "m1:y") == "m1:y");
}

TEST_CASE_FIXTURE(TcpFixture, "a connection waits for a place at a machine that is full") {
  start_tcp("m1", "127.0.0.1");
  serve({});
  route.services[0].concurrency = {.soft_limit = 1, .hard_limit = 1};
  start_all();
  auto first = connect();
  CHECK(exchange(*first, "x", "m1:x") == "m1:x");
  const auto second = connect();
  send(*second, "y");
  for (int i = 0; i < 500 && router->state().queue.waiting() == 0; ++i) sleep(10ms);
  CHECK(router->state().queue.waiting() == 1);
  first.reset();
  CHECK(receive(*second, 4) == "m1:y");
  CHECK(router->state().queue.waiting() == 0);
}

TEST_CASE_FIXTURE(TcpFixture, "a connection starts a machine that rests, and waits for it") {
  start_tcp("m1", "127.0.0.1");
  route.targets[0].state = model::MachineState::stopped;
  route.targets[0].listening = false;
  route.targets[0].wakeable = true;
  serve({});
  feed.on_wake = [this] { turn(model::MachineState::started, false); };
  start_all();
  CHECK(exchange(*connect(), "x", "m1:x") == "m1:x");
  CHECK(feed.wakes.size() == 1);
}

TEST_CASE_FIXTURE(TcpFixture, "one on which nothing is said ends, one that is used does not") {
  start_tcp("m1", "127.0.0.1");
  serve({});
  tcp_idle = 400ms;
  start_all();
  const auto quiet = connect();
  const auto busy = connect();
  for (int i = 0; i < 8; ++i) {
    CHECK(exchange(*busy, "x", "m1:x") == "m1:x");
    sleep(100ms);
  }
  CHECK(rest(*quiet).empty());
  CHECK(counters().idle == 1);
  CHECK(exchange(*busy, "y", "m1:y") == "m1:y");
}

TEST_CASE_FIXTURE(TcpFixture, "one client has a bound of its own") {
  start_tcp("m1", "127.0.0.1");
  serve({});
  start_all();
  std::vector<std::unique_ptr<sys::Stream>> clients;
  for (std::size_t i = 0; i < kMaxTcpPerClient; ++i) clients.push_back(connect());
  CHECK(exchange(*clients.back(), "x", "m1:x") == "m1:x");
  CHECK(rest(*connect()).empty());
  CHECK(counters().too_many == 1);
}

TEST_CASE_FIXTURE(TcpFixture, "proxy_proto tells the machine who the client is, before all else") {
  TcpMachine& machine = start_tcp("m1", "127.0.0.1");
  model::Port& here = serve({Handler::proxy_proto});
  SUBCASE("version 1") {}
  SUBCASE("version 2") {
    here.proxy_version = model::ProxyVersion::v2;
  }
  const auto version = here.proxy_version;
  start_all();
  const auto client = connect();
  send(*client, "hello");
  REQUIRE(client->shutdown_write().has_value());
  rest(*client);
  const auto decoded = proxy_protocol::decode_any(machine.got);
  REQUIRE(decoded.has_value());
  REQUIRE(decoded->has_value());
  CHECK(machine.got.starts_with("PROXY") == (version == model::ProxyVersion::v1));
  CHECK((*decoded)->header.source == client->local());
  CHECK((*decoded)->header.destination == users);
  CHECK(machine.got.substr((*decoded)->size) == "hello");
}

TEST_CASE_FIXTURE(TcpFixture, "a balancer in front says who the client is, and nobody else may") {
  TcpMachine& machine = start_tcp("m1", "127.0.0.1");
  serve({Handler::proxy_proto});
  const std::string header = "PROXY TCP4 192.0.2.7 203.0.113.9 51000 443\r\n";
  SUBCASE("listed") {
    proxy_from = {*sys::IpPrefix::parse("127.0.0.0/8")};
    start_all();
    const auto client = connect();
    send(*client, header.substr(0, 10));
    sleep(20ms);
    send(*client, header.substr(10) + "hello");
    REQUIRE(client->shutdown_write().has_value());
    rest(*client);
    CHECK(machine.got ==
          fmt::format("PROXY TCP4 192.0.2.7 127.0.0.1 51000 {}\r\nhello", users.port()));
    const auto silent = connect();
    send(*silent, "hello");
    CHECK(rest(*silent).empty());  // without a header
    CHECK(counters().failed_openings == 1);
    const std::string page =
        talk(header + "GET / HTTP/1.1\r\nHost: x.test\r\n" + "Connection: close\r\n\r\n");
    CHECK(page.find(" 404 ") != std::string::npos);  // HTTP, too, is told
  }
  SUBCASE("not listed") {
    proxy_from = {*sys::IpPrefix::parse("192.0.2.0/24")};
    start_all();
    const auto client = connect();
    send(*client, header);
    REQUIRE(client->shutdown_write().has_value());
    rest(*client);
    CHECK(machine.got == fmt::format("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\n{}",
                                     client->local().port(), users.port(), header));
  }
}

TEST_CASE_FIXTURE(TcpFixture, "http at an app's own port takes any host") {
  Machine& machine = start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  serve({Handler::http});
  start_all();
  http::RequestHead head{.method = "GET", .target = "/x"};
  head.headers.add("Host", "anything.example");
  const auto reply = loop().run(ask(users, std::move(head), {}));
  REQUIRE(reply.has_value());
  CHECK(reply->body == "m1:");
  CHECK(*machine.last.headers.find("x-forwarded-port") == std::to_string(users.port()));
  CHECK(counters().to_http == 1);
}

TEST_CASE_FIXTURE(TcpFixture, "a router that drains lets connections end, and cuts what is left") {
  start_tcp("m1", "127.0.0.1");
  serve({});
  start_all();
  const auto ending = connect();
  const auto staying = connect();
  CHECK(exchange(*ending, "x", "m1:x") == "m1:x");
  CHECK(exchange(*staying, "x", "m1:x") == "m1:x");
  tasks.spawn(router->drain(loop().deadline_in(600ms)));
  CHECK(exchange(*ending, "y", "m1:y") == "m1:y");
  REQUIRE(ending->shutdown_write().has_value());
  CHECK(rest(*ending) == ":bye");
  const MonotonicTime before = loop().now();
  rest(*staying);
  CHECK(loop().now() - before < 5s);
}

}  // namespace
}  // namespace perigee::router
