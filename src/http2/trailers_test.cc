// Trailers both ways over a connection, between client and server.
#include "http2/fields.h"
#include "http2/test_fixture.h"

namespace perigee::http2 {
namespace {

http::Headers fields_of(std::initializer_list<http::Headers::Field> list) {
  http::Headers headers;
  for (const auto& [name, value] : list) headers.add(name, value);
  return headers;
}

struct Echoed {
  std::string body{};
  http::Headers trailers{};
  std::optional<std::uint64_t> length{};  // as the response says
};

async::Task<Result<Echoed>> read_through(std::unique_ptr<http::Response> response) {
  const auto length = response->body().length();
  CO_TRY(std::string text, co_await http::read_all(response->body(), 10'000'000));
  co_return Echoed{std::move(text), response->body().trailers(), length};
}

Result<Echoed> echo(SimPair& pair, http::Body& body) {
  auto response = pair.forward("/echo", &body, "POST");
  if (!response) return fail(response.error().error);
  return pair.simulation.run(read_through(*std::move(response)));
}

TEST_CASE("trailers of a request and of its response cross") {
  SimPair pair;
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{5}, std::uint64_t{3'000'000}}) {
    CAPTURE(size);
    MadeBody body(size);
    body.length_known = false;
    body.after = fields_of({{"Grpc-Status", "0"}, {"x-end", " a b "}, {"x-end", "c"}});
    const auto echoed = echo(pair, body);
    REQUIRE_MESSAGE(echoed.has_value(), echoed.error().context);
    CHECK(echoed->body.size() == size);
    CHECK(echoed->length != std::uint64_t{0});  // it is not taken for a message without a body
    CHECK(echoed->trailers.fields() ==
          fields_of({{"grpc-status", "0"}, {"x-end", "a b"}, {"x-end", "c"}}).fields());
  }
  CHECK(pair.client->streams() == 0);
}

TEST_CASE("a body without trailers has none, and fields of heads do not trail") {
  SimPair pair;
  MadeBody plain(10);
  CHECK(echo(pair, plain)->trailers.fields().empty());
  MadeBody forbidden(10);
  forbidden.length_known = false;
  forbidden.after = fields_of({{"Content-Length", "10"}, {"host", "evil"}, {"te", "trailers"}});
  CHECK(echo(pair, forbidden)->trailers.fields().empty());
}

TEST_CASE("trailers beyond the bound cut their stream alone") {
  SimPair pair;
  MadeBody body(10);
  body.length_known = false;
  body.after = fields_of({{"x-long", std::string(http::kMaxTrailerBytes, 'x')}});
  CHECK_FALSE(echo(pair, body).has_value());
  MadeBody next(10);
  CHECK(echo(pair, next).value().body.size() == 10);
}

TEST_CASE("a connection that is lost before the trailers does not look whole") {
  SimPair pair;
  auto response = pair.forward("/half");
  REQUIRE(response.has_value());
  const auto rest = pair.simulation.run(read_through(*std::move(response)));
  CHECK_FALSE(rest.has_value());
}

TEST_CASE("a request says that it takes trailers, and nothing else by TE") {
  http::RequestHead head{.method = "POST", .target = "/"};
  head.headers.add("TE", "gzip, trailers");
  const http::Headers fields = request_fields(head);
  CHECK(fields.count("te") == 1);
  CHECK(*fields.find("te") == "trailers");
  const auto again = request_from(fields);
  REQUIRE(again.has_value());
  CHECK(*again->headers.find("te") == "trailers");
  head.headers.set("TE", "gzip");
  CHECK(request_fields(head).find("te") == nullptr);
}

}  // namespace
}  // namespace perigee::http2
