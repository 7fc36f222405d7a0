// Users' TCP connections to machines of other nodes: through a tunnel from router to router.
#include "router/tcp_fixture.h"

namespace perigee::router {
namespace {

struct TcpFleet : Fleet {
  TcpFleet() { with_tcp = true; }
  ~TcpFleet() { sites.clear(); }  // before the machines

  TcpMachine& start_tcp(const std::string& name, int node) {
    tcp_machines.push_back(std::make_unique<TcpMachine>(*this, name, ip_of(node)));
    place(name, node);
    return *tcp_machines.back();
  }
  // What comes back for `text` at n1, to the end.
  std::string exchange(const std::string& text) {
    struct Go {
      static async::Task<Result<std::string>> run(Fleet& f, std::string sent) {
        CO_TRY(auto stream, co_await f.h().network.connect(f.sites.at(1).tcp, f.soon()));
        CO_TRY_VOID(co_await stream->write(sent));
        CO_TRY_VOID(stream->shutdown_write());
        std::string all;
        std::vector<char> buffer(100'000);
        for (;;) {
          CO_TRY(const std::size_t n, co_await stream->read(buffer));
          if (n == 0) co_return all;
          all.append(buffer.data(), n);
        }
      }
    };
    return loop()
        .run(async::with_deadline(loop(), soon(), Go::run(*this, text), "exchange"))
        .value_or("cut");
  }

  std::vector<std::unique_ptr<TcpMachine>> tcp_machines;
};

TEST_CASE_FIXTURE(TcpFleet, "a connection crosses to a machine of another node, and its ends too") {
  TcpMachine& machine = start_tcp("m2", 2);
  start_fleet();
  CHECK(exchange("hello") == "m2:hello:bye");
  CHECK(machine.got == "hello");
  CHECK(state(1).tcp.passed_on == 1);
  CHECK(state(2).counters.backhaul_requests == 1);
}

TEST_CASE_FIXTURE(TcpFleet, "the machine sees who the client is from another node as well") {
  TcpMachine& machine = start_tcp("m2", 2);
  handlers = {model::Handler::proxy_proto};
  start_fleet();
  exchange("hello");
  CHECK(machine.got.starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 "));
  CHECK(machine.got.ends_with(fmt::format(" {}\r\nhello", sites.at(1).tcp.port())));
}

TEST_CASE_FIXTURE(TcpFleet, "where a machine of another node is full another node's takes it") {
  start_tcp("m2", 2);
  TcpMachine& other = start_tcp("m3", 3);
  route.services.emplace_back();
  route.services[0].concurrency = {.soft_limit = 1, .hard_limit = 1};
  start_fleet();
  // n2's own machine is taken by a client there, which n1 does not know.
  auto taken = loop().run(h().network.connect(sites.at(2).tcp, soon()));
  REQUIRE(taken.has_value());
  for (int i = 0; i < 500 && state(2).loads.of("m2") == 0; ++i) sleep(10ms);
  for (int i = 0; i < 3; ++i) CHECK(exchange("x") == "m3:x:bye");
  CHECK(other.accepted == 3);
}

}  // namespace
}  // namespace perigee::router
