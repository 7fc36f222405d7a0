// Users' TCP connections with TLS: ended by the router, begun as PostgreSQL begins it, or left to
// the app.
#include "router/tcp_fixture.h"

namespace perigee::router {
namespace {

using model::Handler;
using namespace std::literals;

constexpr std::string_view kSslRequest = "\x00\x00\x00\x08\x04\xd2\x16\x2f"sv;
constexpr std::string_view kGssRequest = "\x00\x00\x00\x08\x04\xd2\x16\x30"sv;
constexpr std::string_view kCancel =
    "\x00\x00\x00\x10\x04\xd2\x16\x2e\x00\x00\x00\x07\x00\x00\x00\x09"sv;

struct TlsFixture : TcpFixture {
  Result<std::unique_ptr<sys::Stream>> secure(std::unique_ptr<sys::Stream> stream,
                                              const std::string& name = "hello.test") {
    return loop().run(
        async::with_deadline(loop(), soon(), client_tls->connect(std::move(stream), name), "TLS"));
  }
  void start_certified() {
    client_tls = *crypto::TlsClient::create(certify());
    start_all();
  }
  std::unique_ptr<crypto::TlsClient> client_tls;
};

TEST_CASE_FIXTURE(TlsFixture, "TLS ends at the router, and the machine sees what is inside") {
  TcpMachine& machine = start_tcp("m1", "127.0.0.1");
  serve({Handler::tls});
  start_certified();
  const auto client = secure(connect());
  REQUIRE_MESSAGE(client.has_value(), client.error().context);
  CHECK(exchange(**client, "secret", "m1:secret") == "m1:secret");
  REQUIRE((*client)->shutdown_write().has_value());
  CHECK(rest(**client) == ":bye");
  CHECK(machine.got == "secret");
}

TEST_CASE_FIXTURE(TlsFixture, "a port's own alpn is agreed on, and a client without it refused") {
  start_tcp("m1", "127.0.0.1");
  model::Port& here = serve({Handler::tls});
  SUBCASE("the client's") {
    here.tls.alpn = {"mqtt", "http/1.1"};
    start_certified();
    CHECK(secure(connect()).has_value());
  }
  SUBCASE("another") {
    here.tls.alpn = {"mqtt"};
    start_certified();
    CHECK_FALSE(secure(connect()).has_value());
    CHECK(counters().failed_openings == 1);
  }
}

TEST_CASE_FIXTURE(TlsFixture, "a name that is not the app's gets the app's certificate") {
  start_tcp("m1", "127.0.0.1");
  serve({Handler::tls});
  start_certified();
  const auto client = secure(connect(), "other.test");
  REQUIRE_FALSE(client.has_value());
  CHECK(client.error().context.find("ertificate") != std::string::npos);
}

TEST_CASE_FIXTURE(TlsFixture, "pg_tls answers in the clear and then speaks TLS") {
  TcpMachine& machine = start_tcp("m1", "127.0.0.1");
  serve({Handler::pg_tls});
  start_certified();
  auto stream = connect();
  SUBCASE("at once") {}
  SUBCASE("after a client's wish for GSS") {
    CHECK(exchange(*stream, std::string(kGssRequest), "N") == "N");
  }
  send(*stream, std::string(kSslRequest.substr(0, 3)));
  sleep(20ms);
  CHECK(exchange(*stream, std::string(kSslRequest.substr(3)), "S") == "S");
  const auto client = secure(std::move(stream));
  REQUIRE_MESSAGE(client.has_value(), client.error().context);
  CHECK(exchange(**client, "startup", "m1:startup") == "m1:startup");
  CHECK(machine.got == "startup");
}

TEST_CASE_FIXTURE(TlsFixture, "pg_tls refuses a session in the clear in PostgreSQL's words") {
  TcpMachine& machine = start_tcp("m1", "127.0.0.1");
  serve({Handler::pg_tls});
  start_certified();
  auto client = connect();
  send(*client, "\x00\x00\x00\x54\x00\x03\x00\x00user"s);
  CHECK(rest(*client).find("sslmode=require") != std::string::npos);
  client.reset();  // until then the router reads on
  for (int i = 0; i < 500 && counters().failed_openings == 0; ++i) sleep(10ms);
  CHECK(machine.accepted == 0);
  CHECK(counters().failed_openings == 1);
}

TEST_CASE_FIXTURE(TlsFixture, "pg_tls passes a CancelRequest on as it is") {
  TcpMachine& machine = start_tcp("m1", "127.0.0.1");
  serve({Handler::pg_tls});
  start_certified();
  const auto client = connect();
  send(*client, std::string(kCancel));
  REQUIRE(client->shutdown_write().has_value());
  rest(*client);
  CHECK(machine.got == kCancel);
}

TEST_CASE_FIXTURE(TlsFixture, "https at an app's own port shows its certificate") {
  Machine& machine = start_machine("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  serve({Handler::tls, Handler::http});
  start_certified();
  const auto client = secure(connect());
  REQUIRE_MESSAGE(client.has_value(), client.error().context);
  send(**client, "GET / HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n");
  CHECK(rest(**client).find(" 200 ") != std::string::npos);
  CHECK(*machine.last.headers.find("x-forwarded-proto") == "https");
}

TEST_CASE_FIXTURE(TlsFixture,
                  "on the listeners that all share TLS is left to an app that ends it") {
  TcpMachine& machine = start_tcp("m1", "127.0.0.1");
  route.services = {{.ports = {{.port = 443}}}};
  start_certified();
  CHECK_FALSE(secure(connect_to(https_address)).has_value());  // the machine only echoes
  REQUIRE(machine.accepted == 1);
  CHECK(machine.got.starts_with("\x16\x03"));
  CHECK(machine.got.find("hello.test") != std::string::npos);
  // Another name is none of the app's, and what is no TLS is nobody's.
  CHECK_FALSE(secure(connect_to(https_address), "other.test").has_value());
  const auto plain = connect_to(https_address);
  send(*plain, "GET / HTTP/1.1\r\n\r\n");
  rest(*plain);
  CHECK(machine.accepted == 1);
}

TEST_CASE_FIXTURE(TlsFixture, "on the listeners that all share TLS may end to TCP, by its name") {
  TcpMachine& machine = start_tcp("m1", "127.0.0.1");
  route.services = {{.ports = {{.port = 443, .handlers = {Handler::tls}}}}};
  start_certified();
  const auto client = secure(connect_to(https_address));
  REQUIRE_MESSAGE(client.has_value(), client.error().context);
  CHECK(exchange(**client, "x", "m1:x") == "m1:x");
  CHECK(machine.got == "x");
}

}  // namespace
}  // namespace perigee::router
