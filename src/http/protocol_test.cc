// Which protocol a connection of a Server speaks: by its first bytes, or as TLS has agreed.
#include "http/protocol.h"

#include <doctest/doctest.h>

#include <array>

#include "async/combine.h"
#include "crypto/certificate.h"
#include "http/server.h"
#include "sys/posix_host.h"

namespace perigee::http {
namespace {

// Says what it got ahead, and whether over TLS.
class Shout : public Protocol {
 public:
  std::string_view alpn() const override { return "shout"; }
  std::string_view preface() const override { return "SHOUT * HTTP/2.0\r\n\r\n"; }
  async::Task<void> serve(ServerContext&, Accepted connection) override {
    const std::string where = connection.security == Security::tls ? "tls:" : "plain:";
    std::ignore = co_await connection.stream->write(where + connection.ahead);
  }
};

class Hello : public Handler {
 public:
  async::Task<void> handle(Request&, ResponseWriter& response) override {
    std::ignore = co_await response.send({.status = 200}, "hello");
  }
};

struct Fixture {
  ~Fixture() { tasks.cancel_all(); }
  async::Loop& loop() { return host->loop(); }
  sys::Host& h() { return host->host(); }
  // Bytes there, and all that comes back.
  async::Task<Result<std::string>> talk(std::string bytes, crypto::TlsClient* client) {
    CO_TRY(auto stream, co_await h().network.connect(address, loop().deadline_in(10s)));
    if (client != nullptr) {
      CO_TRY(stream, co_await client->connect(std::move(stream), "a.test"));
    }
    CO_TRY_VOID(co_await stream->write(bytes));
    std::string all;
    std::array<char, 1000> buffer;
    for (;;) {
      CO_TRY(const std::size_t count, co_await stream->read(buffer));
      if (count == 0) co_return all;
      all.append(buffer.data(), count);
    }
  }
  std::string say(std::string bytes, crypto::TlsClient* client = nullptr) {
    auto all = loop().run(async::with_deadline(loop(), loop().deadline_in(10s),
                                               talk(std::move(bytes), client), "talk"));
    REQUIRE_MESSAGE(all.has_value(), all.error().context);
    return *std::move(all);
  }
  void listen(Server& server, crypto::TlsServer* tls = nullptr) {
    auto listener = *h().network.listen(*sys::Address::parse("127.0.0.1:0"));
    address = listener->local();
    tasks.spawn(tls == nullptr ? server.serve(std::move(listener))
                               : server.serve_tls(std::move(listener), *tls));
  }

  std::unique_ptr<sys::PosixHost> host = *sys::PosixHost::open(1);
  sys::Address address;
  Hello hello;
  Shout shout;
  async::TaskGroup tasks{loop()};
};

constexpr const char* kGet = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
constexpr const char* kShout = "SHOUT * HTTP/2.0\r\n\r\nmore";

TEST_CASE_FIXTURE(Fixture, "without TLS the first head decides, and all of it is handed over") {
  Server server(h(), hello, {}, &shout);
  listen(server);
  CHECK(say(kShout) == std::string("plain:") + kShout);
  CHECK(say(kGet).ends_with("hello"));
  // Only the first: a connection that has begun with HTTP/1.1 goes on with it.
  const std::string both = say("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n" + std::string(kShout));
  CHECK(both.find("hello") != std::string::npos);
  CHECK(both.find("HTTP/1.1 505 ") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "a server of HTTP/1.1 alone refuses other versions") {
  Server server(h(), hello, {});
  listen(server);
  CHECK(say(kShout).starts_with("HTTP/1.1 505 "));
}

TEST_CASE_FIXTURE(Fixture, "over TLS what was agreed on decides, whatever comes first") {
  const WallTime now = h().clock.wall();
  const auto ca = *crypto::create_ca("test", now);
  const auto leaf = *crypto::issue(ca, {"a.test"}, now, 30);
  const auto tls = *crypto::TlsServer::create({"shout", "http/1.1"});
  REQUIRE(tls->set_certificate("a.test", leaf.certificate_pem, leaf.private_key_pem).has_value());
  Server server(h(), hello, {}, &shout);
  listen(server, tls.get());
  const auto with = [&](const crypto::Protocols& offered) {
    return *crypto::TlsClient::create(ca.certificate_pem, crypto::TlsClient::Verify::yes, offered);
  };
  CHECK(say("bytes", with({"http/1.1", "shout"}).get()).starts_with("tls:"));
  CHECK(say(kGet, with({"http/1.1"}).get()).ends_with("hello"));
  CHECK(say(kShout, with({"http/1.1"}).get()).starts_with("HTTP/1.1 505 "));
}

}  // namespace
}  // namespace perigee::http
