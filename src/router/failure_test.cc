// The router between real sockets where something is wrong: clients, machines, limits, files.
#include "router/test_fixture.h"

namespace perigee::router {
namespace {

TEST_CASE_FIXTURE(Fixture, "the router says what is wrong: unknown app, no service, no machine") {
  start_machine("m1", "127.0.0.1");
  route.reason = "Its last deploy failed.";
  start_all();
  const Reply unknown = get_host("other.test");
  CHECK(unknown.status == 404);
  CHECK(unknown.body.find("No app answers at other.test") != std::string::npos);
  CHECK(json::parse(unknown.body)->find("request_id") != nullptr);
  const Reply none = get();
  CHECK(none.status == 503);
  CHECK(none.header("retry-after") == "1");
  CHECK(none.body.find("the app has no machines. Its last deploy failed.") != std::string::npos);
  target("m1", "127.0.0.1", model::MachineState::stopped);
  feed.add(route_line(2));
  sleep(50ms);
  CHECK(get().body.find("none of the app's machines is started") != std::string::npos);
  route.services[0].ports = {{.port = 443, .handlers = {model::Handler::tls}}};
  feed.add(route_line(3));
  sleep(50ms);
  CHECK(get().status == 404);
  CHECK(status().find("counters")->find("router_errors")->integer() == 4);
}

TEST_CASE_FIXTURE(Fixture, "a machine that never listens is given up on with the next step") {
  auto reserved = listen();
  port = reserved->local().port();
  reserved.reset();
  target("m1", "127.0.0.1");
  reach_bound = 300ms;
  start_all();
  const Reply reply = get();
  CHECK(reply.status == 502);
  CHECK(reply.body.find(fmt::format("must listen on 0.0.0.0:{}", port)) != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture,
                  "at the hard limit a request is refused in the end, with 503 and Retry-After") {
  Machine& machine = start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  route_line(1);
  route.services[0].concurrency = {.soft_limit = 1, .hard_limit = 1};
  queue_bound = 200ms;
  start_all();
  struct Go {
    static async::Task<Result<Reply>> second(Fixture& f, Machine& m) {
      co_await m.entered.wait();
      auto reply = co_await f.ask(f.http_address, {}, {});
      m.release.set();
      co_return reply;
    }
  };
  std::vector<async::Task<Result<Reply>>> both;
  both.push_back(ask(http_address, {.target = "/hold"}, {}));
  both.push_back(Go::second(*this, machine));
  auto replies = loop().run(async::all_of(loop(), std::move(both)));
  CHECK(replies[0]->body == "m1:held");
  CHECK(replies[1]->status == 503);
  CHECK(replies[1]->header("retry-after") == "1");
  CHECK(replies[1]->body.find("hard limit of 1 connections") != std::string::npos);
  CHECK(replies[1]->body.find("none became free within 0.2") != std::string::npos);
  CHECK(get().status == 200);
}

TEST_CASE_FIXTURE(Fixture, "a response that a machine cuts is cut for the client too") {
  start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  start_all();
  const auto reply = loop().run(ask(http_address, {.target = "/half"}, {}));
  CHECK_FALSE(reply.has_value());
}

TEST_CASE_FIXTURE(Fixture, "a client that goes away ends its request at the machine") {
  Machine& machine = start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  start_all();
  struct Go {
    static async::Task<void> run(Fixture& f, Machine& m) {
      auto stream = co_await f.h().network.connect(f.http_address, f.soon());
      std::ignore = co_await (*stream)->write("GET /hold HTTP/1.1\r\nHost: hello.test\r\n\r\n");
      co_await m.entered.wait();
    }
  };
  loop().run(Go::run(*this, machine));
  for (int i = 0; i < 500 && !machine.finished_hold; ++i) sleep(10ms);
  CHECK(machine.finished_hold);
  CHECK(status().find("counters")->find("clients_gone")->integer() == 1);
}

TEST_CASE_FIXTURE(Fixture, "HEAD, a body that breaks, and a request that is none") {
  Machine& machine = start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  start_all();
  const auto head = loop().run(ask(http_address, {.method = "HEAD", .target = "/x"}, {}));
  REQUIRE(head.has_value());
  CHECK(head->header("content-length") == "3");
  CHECK(machine.last.method == "HEAD");
  const std::string start = "POST / HTTP/1.1\r\nHost: hello.test\r\n";
  CHECK(talk(start + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcX").starts_with("HTTP/1.1 400 "));
  CHECK(talk("GET / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 400 "));
  CHECK(talk(start + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
            .starts_with("HTTP/1.1 400 "));
  const auto expected = talk(start +
                             "Expect: 100-continue\r\nContent-Length: 2\r\n"
                             "Connection: close\r\n\r\nok");
  CHECK(expected.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 "));
  CHECK(expected.ends_with("m1:ok"));
  CHECK(machine.last.headers.find("expect") == nullptr);
}

TEST_CASE_FIXTURE(Fixture, "no kept connection leads to a machine that is gone from the routes") {
  start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  start_all();
  get();
  CHECK(servers[0]->connections() == 1);
  route.targets[0].instance_id = "another";  // it has the same address
  feed.add(route_line(2));
  sleep(50ms);
  CHECK(servers[0]->connections() == 0);
  CHECK(get().status == 200);
}

// Reads requests and closes without an answer.
async::Task<void> hang_up(sys::Listener& listener, int& count) {
  for (;;) {
    auto stream = co_await listener.accept();
    std::array<char, 1000> buffer;
    if (!stream || !co_await (*stream)->read(buffer)) co_return;
    ++count;
  }
}

TEST_CASE_FIXTURE(Fixture, "a GET that a machine cuts goes to another one, a POST does not") {
  start_machine("m1", "127.0.0.1");
  auto listener = *h().network.listen(*sys::Address::ip("127.0.0.2", port));
  int count = 0;
  tasks.spawn(hang_up(*listener, count));
  target("m1", "127.0.0.1");
  target("m2", "127.0.0.2");
  start_all();
  int failed = 0;
  for (int i = 0; i < 4; ++i) {
    const auto reply = loop().run(ask(http_address, {.method = "POST"}, "x"));
    if (reply->status == 502) ++failed;
  }
  CHECK(failed == 2);
  CHECK(count == 2);
  for (int i = 0; i < 2; ++i) CHECK(get().status == 200);
  CHECK(count == 3);
  CHECK(router->state().counters.repeats == 1);
}

TEST_CASE_FIXTURE(Fixture, "a broken file of routes and a broken feed do not stop the router") {
  std::ofstream(directory + "/routes.json") << "not json";
  start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  feed.lines = {"garbage"};
  start_control();
  start_router();
  sleep(100ms);
  CHECK(get().status == 404);
  CHECK(status().find("feed_connected")->boolean() == false);
  feed.lines.clear();
  publish();
  wait_for_routes();
  CHECK(get().status == 200);
}

}  // namespace
}  // namespace perigee::router
