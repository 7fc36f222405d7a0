// Responses on their way out: compressed, with the app's rules for their fields, and cookies that
// lead a client back.
#include <zlib.h>

#include "router/affinity.h"
#include "router/care_fixture.h"
#include "router/compression.h"
#include "router/forwarding.h"
#include "router/gzip.h"

namespace perigee::router {
namespace {

http::Headers accepting(std::string_view codings) {
  http::Headers headers;
  headers.add("Accept-Encoding", codings);
  return headers;
}

// All of it, or "broken".
std::string gunzip(std::string_view bytes) {
  z_stream stream{};
  REQUIRE(::inflateInit2(&stream, 15 + 16) == Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  int done = Z_OK;
  while (done == Z_OK) {
    std::array<char, 5000> piece;
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = piece.size();
    done = ::inflate(&stream, Z_NO_FLUSH);
    out.append(piece.data(), piece.size() - stream.avail_out);
  }
  ::inflateEnd(&stream);
  return done == Z_STREAM_END ? out : "broken";
}

// Pieces, each of which comes when it is asked for.
class Pieces : public http::Body {
 public:
  explicit Pieces(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {}
  async::Task<Result<std::size_t>> read(std::span<char> into) override {
    if (next_ == pieces_.size()) co_return 0;
    const std::string& piece = pieces_[next_++];
    std::ranges::copy(piece, into.begin());
    co_return piece.size();
  }
  std::optional<std::uint64_t> length() const override { return std::nullopt; }

 private:
  std::vector<std::string> pieces_;
  std::size_t next_ = 0;
};

TEST_CASE("gzip is for clients that would rather have it") {
  for (const auto& [field, expected] :
       std::vector<std::pair<std::string, bool>>{{"gzip", true},
                                                 {"GZIP", true},
                                                 {"x-gzip", true},
                                                 {"br, gzip;q=0.8", true},
                                                 {"*", true},
                                                 {"gzip;q=0", false},
                                                 {"gzip;q=0.000", false},
                                                 {"gzip;q=0.001", true},
                                                 {"gzip;q=1.000", true},
                                                 {"gzip;q=2", false},
                                                 {"gzip;q=x", false},
                                                 {"*;q=0", false},
                                                 {"gzip;q=0, *", false},
                                                 {"identity, gzip;q=0.5", false},
                                                 {"identity;q=0.5, gzip;q=0.5", true},
                                                 {"br", false},
                                                 {"", false}}) {
    CAPTURE(field);
    CHECK(takes_gzip(accepting(field)) == expected);
  }
  CHECK_FALSE(takes_gzip({}));
}

TEST_CASE("what gains nothing, or must not be changed, is not compressed") {
  struct Row {
    const char* what;
    std::vector<http::OwnField> fields;
    std::optional<std::uint64_t> length;
    bool expected;
    int status = 200;
    std::string method = "GET";
  };
  using Fields = std::vector<http::OwnField>;
  const Fields text{{"Content-Type", "text/html; charset=utf-8"}};
  const auto with = [&](std::string name, std::string value) {
    Fields fields = text;
    fields.emplace_back(std::move(name), std::move(value));
    return fields;
  };
  const std::vector<Row> table{
      {"a page", text, 5000, true},
      {"of unknown length", text, std::nullopt, true},
      {"an error's page", text, 5000, true, 404},
      {"JSON", {{"Content-Type", "application/problem+json"}}, 5000, true},
      {"SVG", {{"content-type", "image/svg+xml"}}, 5000, true},
      {"small", text, kMinCompressed - 1, false},
      {"an image", {{"Content-Type", "image/png"}}, 5000, false},
      {"of no type", {}, 5000, false},
      {"events", {{"Content-Type", "text/event-stream"}}, std::nullopt, false},
      {"encoded already", with("Content-Encoding", "br"), 5000, false},
      {"no-transform", with("Cache-Control", "public, no-transform"), 5000, false},
      {"with a digest", with("Content-Digest", "sha-256=:x:"), 5000, false},
      {"a part", with("Content-Range", "bytes 0-1/2"), 5000, false, 206},
      {"no content", text, std::nullopt, false, 204},
      {"not modified", text, std::nullopt, false, 304},
      {"HEAD", text, 5000, false, 200, "HEAD"}};
  for (const Row& row : table) {
    CAPTURE(row.what);
    http::ResponseHead head{.status = row.status};
    for (const auto& [name, value] : row.fields) head.headers.add(name, value);
    CHECK(is_compressible({.method = row.method}, head, row.length) == row.expected);
  }
  http::RequestHead asking;
  asking.headers.add("Cache-Control", "no-transform");
  http::ResponseHead page;
  page.headers.add("Content-Type", "text/html");
  CHECK_FALSE(is_compressible(asking, page, 5000));
}

TEST_CASE("a compressed body is the same body, and each piece comes before the next is asked for") {
  const auto posix = *sys::PosixHost::open(1);
  std::string all;
  std::vector<std::string> pieces;
  for (int i = 0; i < 40; ++i) {
    pieces.push_back(fmt::format("piece {} ", i) +
                     std::string(static_cast<std::size_t>(i) * 300, 'x'));
    all += pieces.back();
  }
  Pieces source(pieces);
  GzipBody body(source);
  std::string bytes;
  std::size_t reads = 0;
  for (std::array<char, 700> buffer;; ++reads) {
    const auto count = posix->loop().run(body.read(buffer));
    REQUIRE(count.has_value());
    if (*count == 0) break;
    bytes.append(buffer.data(), *count);
  }
  CHECK(gunzip(bytes) == all);
  CHECK(reads >= pieces.size());
  CHECK(bytes.size() < all.size() / 10);
  Pieces nothing({});
  GzipBody empty(nothing);
  CHECK(gunzip(*posix->loop().run(http::read_all(empty, 1000))).empty());
}

Scripted::Script page(std::size_t size) {
  return [size](const http::RequestHead&, const std::string&) {
    std::string text;
    while (text.size() < size) text += fmt::format("<p>line {}</p>", text.size());
    return answer_with({{"Content-Type", "text/html"},
                        {"ETag", "\"v1\""},
                        {"Accept-Ranges", "bytes"},
                        {"Vary", "Cookie"}},
                       text);
  };
}

TEST_CASE_FIXTURE(CareFixture,
                  "a response is compressed for who takes it, over HTTP/1.1 and HTTP/2") {
  start_script("127.0.0.1", page(300'000));
  target("m1", "127.0.0.1");
  http_options.compress = true;
  start_all();
  const Reply plain = get();
  CHECK(plain.headers.find("content-encoding") == nullptr);
  CHECK(plain.header("etag") == "\"v1\"");
  CHECK(plain.headers.count("vary") == 2);
  for (const Reply& reply : {send(request_with({{"Accept-Encoding", "gzip"}})),
                             send_http2(request_with({{"accept-encoding", "gzip"}}))}) {
    CHECK(reply.header("content-encoding") == "gzip");
    CHECK(reply.header("etag") == "W/\"v1\"");
    CHECK(reply.headers.find("accept-ranges") == nullptr);
    CHECK(reply.headers.find("content-length") == nullptr);
    CHECK(reply.body.size() < plain.body.size() / 3);
    CHECK(gunzip(reply.body) == plain.body);
  }
  CHECK(router->state().counters.compressed == 2);
  CHECK(router->state().budgets.used("hello", Resource::compressions) == 0);
}

TEST_CASE_FIXTURE(CareFixture, "an app that does not ask for it is not compressed") {
  start_script("127.0.0.1", page(5000));
  target("m1", "127.0.0.1");
  start_all();
  const Reply reply = send(request_with({{"Accept-Encoding", "gzip"}}));
  CHECK(reply.headers.find("content-encoding") == nullptr);
  CHECK(reply.headers.count("vary") == 1);
}

TEST_CASE_FIXTURE(CareFleet, "what comes from another node's machine is compressed here") {
  start_script(ip_of(2), page(100'000));
  place("m2", 2);
  http_options.compress = true;
  start_fleet();
  const Reply reply = send(request_with({{"Accept-Encoding", "gzip"}}));
  CHECK(reply.header("content-encoding") == "gzip");
  CHECK(gunzip(reply.body).size() >= 100'000);
}

TEST_CASE("an app's rules set, add and remove fields of its responses, ours among them") {
  http::ResponseHead head;
  head.headers.add("Server", "app/1.0");
  head.headers.add("X-Old", "1");
  const model::HttpOptions rules{.response_headers = {{.name = "server"},
                                                      {.name = "X-Old", .values = {"2"}},
                                                      {.name = "Link", .values = {"<a>", "<b>"}}}};
  const http::Headers ruled = downstream_response(head, "r1", rules).headers;
  CHECK(ruled.find("server") == nullptr);
  CHECK(*ruled.find("x-old") == "2");
  CHECK(ruled.count("x-old") == 1);
  CHECK(ruled.count("link") == 2);
  CHECK(*ruled.find("fly-request-id") == "r1");
  const http::Headers pristine = downstream_response(head, "r1", {.pristine = true}).headers;
  CHECK(pristine.fields().size() == 2);
}

TEST_CASE_FIXTURE(CareFixture, "a cookie leads a client back to its machine") {
  start_named("m1", "127.0.0.1");
  start_named("m2", "127.0.0.2");
  target("m1", "127.0.0.1");
  target("m2", "127.0.0.2");
  http_options.affinity = {.kind = model::AffinityKind::cookie, .name = "seat"};
  start_all();
  const Reply first = get();
  const std::string machine = first.body.substr(0, 2);
  CHECK(first.header("set-cookie") ==
        fmt::format("seat={}; Path=/; HttpOnly; SameSite=Lax", machine));
  for (int i = 0; i < 6; ++i) {
    const Reply next = send(request_with({{"Cookie", "a=b; seat=" + machine + "; c=d"}}));
    CHECK(next.body == first.body);
    CHECK(next.headers.find("set-cookie") == nullptr);
  }
  const Reply lost = send(request_with({{"Cookie", "seat=gone"}}));
  CHECK(lost.status == 200);
  CHECK(lost.header("set-cookie").starts_with("seat=m"));
}

TEST_CASE_FIXTURE(CareFixture, "a header's value stands for a machine") {
  for (int i = 1; i <= 4; ++i) {
    start_named(fmt::format("m{}", i), fmt::format("127.0.0.{}", i));
    target(fmt::format("m{}", i), fmt::format("127.0.0.{}", i));
  }
  http_options.affinity = {.kind = model::AffinityKind::header, .name = "X-Room"};
  start_all();
  std::map<std::string, std::string> rooms;
  std::set<std::string> used;
  for (int room = 0; room < 24; ++room) {
    const std::string name = fmt::format("room {}", room);
    rooms[name] = send(request_with({{"x-room", name}})).body;
    used.insert(rooms[name]);
    CHECK(send(request_with({{"x-room", name}})).body == rooms[name]);
  }
  CHECK(used.size() == 4);
  route.targets.pop_back();
  feed.add(route_line(2));
  sleep(100ms);
  for (const auto& [name, machine] : rooms) {
    const std::string now = send(request_with({{"x-room", name}})).body;
    CHECK((machine == "m4:" ? now != machine : now == machine));
  }
}

TEST_CASE_FIXTURE(CareFixture, "a machine is told when it is not the one that the client prefers") {
  Scripted& machine = start_named("m1", "127.0.0.1");
  target("m1", "127.0.0.1");
  start_all();
  send(request_with({{"fly-prefer-instance-id", "m9"}}));
  CHECK(machine.header("fly-preferred-instance-unavailable") == "m9");
  CHECK(machine.header("perigee-preferred-machine-unavailable") == "m9");
  send(request_with({{"fly-prefer-instance-id", "m1"}}));
  CHECK(machine.header("fly-preferred-instance-unavailable").empty());
}

}  // namespace
}  // namespace perigee::router
