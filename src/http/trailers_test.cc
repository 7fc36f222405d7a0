// Trailers: which may stand there, and their way through server and client on loopback sockets.
#include "http/trailers.h"

#include <doctest/doctest.h>

#include <array>

#include "async/combine.h"
#include "async/task_group.h"
#include "http/client.h"
#include "http/codec.h"
#include "http/server.h"
#include "sys/posix_host.h"

namespace perigee::http {
namespace {

Headers fields_of(std::initializer_list<Headers::Field> list) {
  Headers headers;
  for (const auto& [name, value] : list) headers.add(name, value);
  return headers;
}

TEST_CASE("what frames, routes, authenticates or describes a message may not trail") {
  for (const char* name : {"Content-Length", "transfer-encoding", "Host",       "TE",
                           "Trailer",        "Connection",        "If-Match",   "if-none-match",
                           "Range",          "Authorization",     "Set-Cookie", "Cookie",
                           "Content-Type",   "Content-Encoding",  "Location",   "Date",
                           "Cache-Control",  ":status",           "a b",        ""}) {
    CAPTURE(name);
    CHECK_FALSE(may_trail(name));
  }
  for (const char* name : {"grpc-status", "Grpc-Message", "Server-Timing", "ETag", "Iffy"}) {
    CAPTURE(name);
    CHECK(may_trail(name));
  }
}

TEST_CASE("a chunked body ends with those that may, and that can be read back") {
  CHECK(last_chunk({}) == "0\r\n\r\n");
  CHECK(last_chunk(fields_of({{"grpc-status", "0"},
                              {"Content-Length", "5"},
                              {"X-Bad", "a\r\nInjected: yes"},
                              {"x-two", "2"}})) == "0\r\ngrpc-status: 0\r\nx-two: 2\r\n\r\n");
}

Parsed<Headers> decoded(std::string_view text) {
  BodyDecoder decoder({.kind = Framing::Kind::chunked});
  while (!decoder.done()) {
    auto step = decoder.step(text);
    if (!step) return std::unexpected(step.error());
    text.remove_prefix(step->consumed);
  }
  return decoder.trailers();
}

TEST_CASE("a decoder keeps the trailers that may stand there, up to a number") {
  const auto kept = decoded("0\r\nGrpc-Status:  0 \r\nhost: evil\r\nx-end: a\r\nx-end: b\r\n\r\n");
  REQUIRE(kept.has_value());
  CHECK(kept->fields() ==
        fields_of({{"Grpc-Status", "0"}, {"x-end", "a"}, {"x-end", "b"}}).fields());
  std::string many = "0\r\n";
  for (std::size_t i = 0; i <= kMaxHeaderFields; ++i) many += "a: b\r\n";
  const auto refused = decoded(many + "\r\n");
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().why == "too many trailer fields");
}

// Echoes what comes, and ends with the trailers that came and one of its own.
class EchoHandler : public Handler {
 public:
  async::Task<void> handle(Request& request, ResponseWriter& response) override {
    last = request.head;
    auto body = co_await read_all(request.body, 1'000'000);
    if (!body) co_return;
    ResponseHead head;
    head.headers.add("Trailer", "x-size");
    if (!co_await response.start(std::move(head))) co_return;
    if (!body->empty() && !co_await response.write(*body)) co_return;
    Headers trailers = request.body.trailers();
    trailers.add("x-size", std::to_string(body->size()));
    std::ignore = co_await response.finish(std::move(trailers));
  }
  RequestHead last;
};

class TrailedBody : public Body {
 public:
  async::Task<Result<std::size_t>> read(std::span<char> into) override {
    if (std::exchange(given_, true)) co_return 0;
    into[0] = 'b';
    co_return 1;
  }
  std::optional<std::uint64_t> length() const override { return std::nullopt; }
  Headers trailers() const override { return fields_of({{"x-sum", "77"}, {"host", "evil"}}); }

 private:
  bool given_ = false;
};

struct Fixture {
  Fixture() {
    auto listener = *host().network.listen(*sys::Address::parse("127.0.0.1:0"));
    address = listener->local();
    tasks.spawn(server.serve(std::move(listener)));
  }
  sys::Host& host() { return posix->host(); }
  async::Loop& loop() { return posix->loop(); }
  Deadline soon() { return loop().deadline_in(10s); }
  std::unique_ptr<sys::PosixHost> posix = *sys::PosixHost::open(1);
  EchoHandler handler;
  Server server{host(), handler, {}};
  sys::Address address;
  async::TaskGroup tasks{posix->loop()};
};

async::Task<Result<std::string>> raw(Fixture& f, std::string bytes) {
  CO_TRY(auto stream, co_await f.host().network.connect(f.address, f.soon()));
  CO_TRY_VOID(co_await stream->write(bytes));
  std::string out;
  std::array<char, 4096> buffer;
  for (;;) {
    CO_TRY(const std::size_t count, co_await stream->read(buffer));
    if (count == 0) co_return out;
    out.append(buffer.data(), count);
  }
}

std::string talk(Fixture& f, const std::string& request_line, const std::string& fields) {
  const std::string bytes = request_line + "\r\nHost: a\r\nConnection: close\r\n" + fields +
                            "Transfer-Encoding: chunked\r\n\r\n" +
                            "2\r\nhi\r\n0\r\nx-sum: 7\r\ncookie: no\r\n\r\n";
  const auto answer = f.loop().run(async::with_deadline(f.loop(), f.soon(), raw(f, bytes), "talk"));
  REQUIRE_MESSAGE(answer.has_value(), answer.error().context);
  return *answer;
}

TEST_CASE_FIXTURE(Fixture, "a client that takes trailers gets them, and their announcement") {
  const std::string answer = talk(*this, "POST / HTTP/1.1", "TE: gzip;q=0.5, Trailers\r\n");
  CHECK(answer.ends_with("2\r\nhi\r\n0\r\nx-sum: 7\r\nx-size: 2\r\n\r\n"));
  CHECK(answer.find("Trailer: x-size\r\n") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "a client that does not gets the body alone") {
  const std::string answer = talk(*this, "POST / HTTP/1.1", "");
  CHECK(answer.ends_with("2\r\nhi\r\n0\r\n\r\n"));
  CHECK(answer.find("Trailer:") == std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "our client sends trailers and reads them, and names TE a hop's own") {
  struct Go {
    static async::Task<Result<Headers>> run(Fixture& f) {
      Client client(f.host(), {});
      TrailedBody body;
      RequestHead head{.method = "POST"};
      head.headers.add("TE", "trailers");
      auto response = co_await client.forward(f.address, std::move(head), &body, f.soon());
      if (!response) co_return fail(response.error().error);
      CO_TRY(const std::string text, co_await read_all((*response)->body(), 1000));
      CHECK(text == "b");
      CHECK(client.idle_connections() == 1);
      co_return (*response)->body().trailers();
    }
  };
  const auto trailers = loop().run(Go::run(*this));
  REQUIRE_MESSAGE(trailers.has_value(), trailers.error().context);
  CHECK(trailers->fields() == fields_of({{"x-sum", "77"}, {"x-size", "1"}}).fields());
  CHECK(*handler.last.headers.find("connection") == "TE");
}

}  // namespace
}  // namespace perigee::http
