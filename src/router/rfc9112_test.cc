// HTTP/1.1's requirements of an intermediary, a row for each MUST of RFC 9112, named by its
// section: bytes of a client through a router to an app that keeps what it gets and answers with
// bytes of the test's. What RFC 9112 leaves open (refuse or repair) is refused: decision 0030. A
// MUST of a "proxy", which a client chooses, is met here too, but for two: a blank before a
// response's colon (5.1) is not removed, the response is refused; and a connection of HTTP/1.0 goes
// on (9.3) where the client asks for it, as behind a server.
#include "base/text.h"
#include "http/limits.h"
#include "router/test_fixture.h"

namespace perigee::router {
namespace {

const std::string kHost = "Host: hello.test\r\n";
const std::string kProbe = "GET /probe HTTP/1.1\r\n" + kHost + "Connection: close\r\n\r\n";
const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

std::string get(const std::string& fields) {
  return "GET /a HTTP/1.1\r\n" + kHost + fields + "\r\n";
}
std::string post(const std::string& fields, const std::string& body) {
  return "POST /a HTTP/1.1\r\n" + kHost + fields + "\r\n" + body;
}
std::string length(std::size_t size) {
  return "Content-Length: " + std::to_string(size) + "\r\n";
}
const std::string kChunked = "Transfer-Encoding: chunked\r\n";

// The app. The first request gets `answer`, those after it "ok".
class RawApp {
 public:
  explicit RawApp(Fixture& fixture) : fixture_(fixture) {
    listener_ = fixture.listen();
    fixture.port = listener_->local().port();
    fixture.tasks.spawn(accept(*this));
  }
  // Of all that came, in lower case.
  bool got(std::string_view text) const { return to_lower(all).find(text) != std::string::npos; }

  std::string answer = kOk;
  bool closes = false;       // behind the first answer
  std::string all;           // bytes that came
  std::size_t requests = 0;  // that came whole
  std::size_t connections = 0;

 private:
  static async::Task<void> accept(RawApp& self) {
    for (;;) {
      auto stream = co_await self.listener_->accept();
      if (!stream) co_return;
      ++self.connections;
      self.fixture_.tasks.spawn(talk(self, *std::move(stream)));
    }
  }
  static async::Task<void> talk(RawApp& self, std::unique_ptr<sys::Stream> stream) {
    std::string held;
    std::array<char, 4096> buffer;
    for (;;) {
      std::size_t size = whole(held);
      while (size == std::string::npos) {
        const auto count = co_await stream->read(buffer);
        if (!count || *count == 0) co_return;
        held.append(buffer.data(), *count);
        self.all.append(buffer.data(), *count);
        size = whole(held);
      }
      held.erase(0, size);
      const bool first = self.requests++ == 0;
      if (!co_await stream->write(first ? self.answer : kOk)) co_return;
      if (first && self.closes) co_return;
    }
  }
  // Size of the request at the front; npos: not all there. No body of these tests has two line
  // breaks in a row but at the end of its chunks.
  static std::size_t whole(const std::string& text) {
    const std::string lower = to_lower(text);
    const auto end = lower.find("\r\n\r\n");
    if (end == std::string::npos) return end;
    const std::string head = lower.substr(0, end + 2);
    if (head.find("transfer-encoding: chunked") != std::string::npos) {
      const auto last = lower.find("\r\n\r\n", end + 4);
      return last == std::string::npos ? last : last + 4;
    }
    const auto at = head.find("content-length: ");
    const std::size_t body = at == std::string::npos ? 0 : std::stoul(head.substr(at + 16));
    return text.size() < end + 4 + body ? std::string::npos : end + 4 + body;
  }
  Fixture& fixture_;
  std::unique_ptr<sys::Listener> listener_;
};

struct Bench : Fixture {
  Bench() {
    target("m1", "127.0.0.1");
    start_all();
  }
  RawApp app{*this};
};

std::vector<int> statuses(const std::string& text) {
  std::vector<int> all;
  for (auto at = text.find("HTTP/1.1 "); at != std::string::npos;
       at = text.find("HTTP/1.1 ", at + 1)) {
    all.push_back(std::stoi(text.substr(at + 9, 3)));
  }
  return all;
}

using Texts = std::vector<std::string>;

struct RequestRow {
  std::string must;  // section, requirement
  std::string sent;
  std::vector<int> answers;  // then the router closes
  Texts app_gets{};          // in lower case
  Texts app_lacks{};
  Fixture::Ends ends = Fixture::Ends::no;  // the client ends its side
};

const std::string kSmuggled = "GET /smuggled HTTP/1.1\r\n" + kHost + "\r\n";
RequestRow bad_length(const std::string& value) {
  return {"6.3 (5): Content-Length: " + value,
          post("Content-Length: " + value + "\r\n", "hello") + kProbe,
          {400}};
}
const std::vector<RequestRow> kRequestRows{
    {"2.2: a bare CR makes an element invalid", get("X: a\rb\r\n") + kProbe, {400}},
    {"2.2: a blank behind the start line is refused",
     "GET / HTTP/1.1\r\n X: a\r\n" + kHost + "\r\n" + kProbe,
     {400}},
    {"2.3: a forwarded message has the version of who forwards it",
     "GET / HTTP/1.0\r\n" + kHost + "\r\n",
     {200},
     {"get / http/1.1\r\n"}},
    {"3: a target that is too long is answered 414",
     "GET /" + std::string(http::kMaxTargetBytes, 'x') + " HTTP/1.1\r\n" + kHost + "\r\n" + kProbe,
     {414}},
    {"3.2: no Host", "GET / HTTP/1.1\r\n\r\n" + kProbe, {400}},
    {"3.2: two Hosts", get(kHost) + kProbe, {400}},
    {"3.2: an invalid Host", "GET / HTTP/1.1\r\nHost: hello.test/x\r\n\r\n" + kProbe, {400}},
    {"3.2: a blank in Host", "GET / HTTP/1.1\r\nHost: hello test\r\n\r\n" + kProbe, {400}},
    {"3.2.1: an empty path is sent as /",
     "GET http://hello.test HTTP/1.1\r\n" + kHost + "\r\n" + kProbe,
     {200, 200},
     {"get / http/1.1"}},
    {"3.2.1: and its query is kept",
     "GET http://hello.test?q HTTP/1.1\r\n" + kHost + "\r\n" + kProbe,
     {200, 200},
     {"get /?q http/1.1"}},
    {"3.2.2: absolute-form is accepted, and Host is made from it",
     "GET http://hello.test/x HTTP/1.1\r\nHost: other.test\r\n\r\n" + kProbe,
     {200, 200},
     {"get /x http/1.1", "host: hello.test"},
     {"other.test"}},
    {"3.2.4: OPTIONS of a URI without a path becomes *",
     "OPTIONS http://hello.test HTTP/1.1\r\n" + kHost + "\r\n" + kProbe,
     {200, 200},
     {"options * http/1.1"}},
    {"3.2.4: OPTIONS * stays",
     "OPTIONS * HTTP/1.1\r\n" + kHost + "\r\n" + kProbe,
     {200, 200},
     {"options * http/1.1"}},
    {"5.1: a blank before the colon", get("X : a\r\n") + kProbe, {400}},
    {"5.2: a folded line", get("X: a\r\n b\r\n") + kProbe, {400}},
    {"6.1: chunked is understood",
     post(kChunked, "5\r\nhello\r\n0\r\n\r\n") + kProbe,
     {200, 200},
     {"hello"}},
    {"6.1: chunked twice",
     post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n") + kProbe,
     {400}},
    {"6.1: chunked in two fields", post(kChunked + kChunked, "0\r\n\r\n") + kProbe, {400}},
    {"6.1: with Content-Length the connection ends",
     post(kChunked + length(5), "0\r\n\r\n") + kProbe,
     {400}},
    {"6.1: in HTTP/1.0 the framing is faulty and the connection ends",
     "POST /a HTTP/1.0\r\n" + kHost + kChunked + "\r\n0\r\n\r\n" + kProbe,
     {400}},
    {"6.2: no Content-Length is sent beside Transfer-Encoding",
     post(kChunked, "5\r\nhello\r\n0\r\n\r\n") + kProbe,
     {200, 200},
     {"transfer-encoding: chunked"},
     {"content-length"}},
    {"6.3 (4): the last coding is not chunked",
     post("Transfer-Encoding: gzip\r\n", "") + kProbe,
     {400}},
    {"6.3 (4): chunked is not the last coding",
     post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n") + kProbe,
     {400}},
    {"6.3 (6): a body that ends early is incomplete",
     post(length(10), "hello"),
     {400},
     {},
     {},
     Fixture::Ends::yes},
    {"7.1: a size that overflows is no size",
     post(kChunked, "10000000000000005\r\nhello\r\n0\r\n\r\n") + kProbe,
     {400}},
    {"7.1.1: an extension is ignored",
     post(kChunked, "5;a=b\r\nhello\r\n0\r\n\r\n") + kProbe,
     {200, 200},
     {"hello"},
     {"a=b"}},
    {"7.1.2: a trailer is not merged into the head",
     post(kChunked, "5\r\nhello\r\n0\r\nX-Forwarded-For: evil\r\nAuthorization: evil\r\n\r\n") +
         kProbe,
     {200, 200},
     {"hello"},
     {"evil"}},
    {"8: chunks without the last one are incomplete",
     post(kChunked, "5\r\nhello\r\n"),
     {400},
     {},
     {},
     Fixture::Ends::yes},
    {"9.3: a body that nobody read is not taken for a request",
     "POST / HTTP/1.1\r\nHost: nobody.test\r\n" + length(kSmuggled.size()) + "\r\n" + kSmuggled +
         kProbe,
     {404, 200},
     {"/probe"},
     {"/smuggled"}},
    {"9.6: behind close nothing is processed",
     get("Connection: close\r\n") + kProbe,
     {200},
     {},
     {"/probe"}},
    {"RFC 9110, 7.6.1: the fields that Connection names stay behind",
     get("Connection: x-hop\r\nX-Hop: here\r\nKeep-Alive: timeout=5\r\n") + kProbe,
     {200, 200},
     {},
     {"x-hop", "keep-alive"}},
    bad_length("abc"),
    bad_length("-1"),
    bad_length("+5"),
    bad_length("0x5"),
    bad_length("5 5"),
    bad_length("5, 6"),
    bad_length("99999999999999999999"),
    bad_length("5,"),
    {"6.3 (5): two lengths", post(length(5) + length(6), "hello") + kProbe, {400}},
};

TEST_CASE("RFC 9112: what a client may send, and what becomes of it") {
  for (const RequestRow& row : kRequestRows) {
    CAPTURE(row.must);
    Bench bench;
    const std::string answer = bench.talk(row.sent, row.ends);
    CAPTURE(answer);
    CHECK(statuses(answer) == row.answers);
    for (const std::string& text : row.app_gets) CHECK_MESSAGE(bench.app.got(text), text);
    for (const std::string& text : row.app_lacks) CHECK_FALSE_MESSAGE(bench.app.got(text), text);
    if (row.answers.front() >= 400 && row.answers.size() == 1) CHECK(bench.app.requests == 0);
  }
}

struct ResponseRow {
  std::string must;
  std::string answer;  // of the app to the first request
  std::vector<int> answers;
  Texts client_gets{};
  Texts client_lacks{};
  std::string request = get("");  // the probe follows
  bool closes = false;            // the app, behind its answer
};

const std::string kAnswer = "HTTP/1.1 200 OK\r\n";

const std::string kEvil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
const std::string kChunks = kChunked + "\r\n5\r\nhello\r\n0\r\n\r\n";
const std::string kHeadRequest = "HEAD /a HTTP/1.1\r\n" + kHost + "\r\n";
const std::vector<ResponseRow> kResponseRows{
    {"2.2: a bare CR makes an element invalid",
     kAnswer + "X: a\rb\r\n" + length(0) + "\r\n",
     {502, 200}},
    {"2.3: a forwarded message has the version of who forwards it",
     "HTTP/1.0 200 OK\r\n" + length(5) + "\r\nhello",
     {200, 200},
     {"hello"},
     {"HTTP/1.0"}},
    {"4: a blank follows the status, whether or not there is a reason",
     "HTTP/1.1 200\r\n" + length(5) + "\r\nhello",
     {200, 200},
     {"HTTP/1.1 200 ", "hello"}},
    {"5.1: a blank before the colon", kAnswer + "X : a\r\n" + length(0) + "\r\n", {502, 200}},
    {"5.2: a folded line", kAnswer + "X: a\r\n b\r\n" + length(0) + "\r\n", {502, 200}},
    {"6.1: no Transfer-Encoding in a 204",
     "HTTP/1.1 204 No Content\r\n" + kChunked + "\r\n",
     {204, 200},
     {},
     {"ransfer-"}},
    {"6.1: none to a client of HTTP/1.0",
     kAnswer + kChunks,
     {200},
     {"\r\n\r\nhello"},
     {"ransfer-", "/probe"},
     "GET /a HTTP/1.0\r\n" + kHost + "\r\n"},
    {"6.3 (1): no body behind HEAD",
     kAnswer + length(100) + "\r\n",
     {200, 200},
     {"ontent-Length: 100"},
     {},
     kHeadRequest},
    {"6.3 (1): no body behind 304",
     "HTTP/1.1 304 Not Modified\r\n" + length(100) + "\r\n",
     {304, 200}},
    {"6.3 (3): Transfer-Encoding with Content-Length", kAnswer + length(5) + kChunks, {502, 200}},
    {"6.3 (4): the last coding is not chunked",
     kAnswer + "Transfer-Encoding: gzip\r\n\r\nunframed",
     {502, 200},
     {},
     {"unframed"}},
    {"6.3 (5): an invalid length is a 502, and the connection ends",
     kAnswer + "Content-Length: 8, 9\r\n\r\nunframed",
     {502, 200},
     {},
     {"unframed"}},
    {"6.3 (6): a body that ends early is not passed on as whole",
     kAnswer + length(10) + "\r\nhello",
     {200},
     {"hello"},
     {},
     get(""),
     true},
    {"7.1: a size that overflows is no size",
     kAnswer + kChunked + "\r\n10000000000000005\r\nhello\r\n0\r\n\r\n",
     {200},
     {},
     {"hello", "\r\n0\r\n"}},
    {"8: chunks without the last one are not passed on as whole",
     kAnswer + kChunked + "\r\n5\r\nhello\r\n",
     {200},
     {"hello"},
     {"\r\n0\r\n"},
     get(""),
     true},
    {"9.2: bytes that nobody asked for are no answer to the next request",
     kAnswer + length(5) + "\r\nhello" + kEvil,
     {200, 200},
     {"hello", "ok"},
     {"evil"}},
    {"9.6: close ends the connection to the app, and not the client's",
     kAnswer + "Connection: close\r\n" + length(5) + "\r\nhello",
     {200, 200},
     {"hello"}},
    {"RFC 9110, 7.6.1: the fields that Connection names stay behind",
     kAnswer + "Connection: x-hop\r\nX-Hop: here\r\nKeep-Alive: timeout=5\r\n" + length(0) + "\r\n",
     {200, 200},
     {},
     {"X-Hop", "Keep-Alive", "x-hop"}},
};

TEST_CASE("RFC 9112: what an app may answer, and what becomes of it") {
  for (const ResponseRow& row : kResponseRows) {
    CAPTURE(row.must);
    Bench bench;
    bench.app.answer = row.answer;
    bench.app.closes = row.closes;
    const std::string answer = bench.talk(row.request + kProbe);
    CAPTURE(answer);
    CHECK(statuses(answer) == row.answers);
    for (const std::string& text : row.client_gets) {
      CHECK_MESSAGE(answer.find(text) != std::string::npos, text);
    }
    for (const std::string& text : row.client_lacks) {
      CHECK_MESSAGE(answer.find(text) == std::string::npos, text);
    }
    // An app whose framing can't be trusted is asked anew on another connection.
    if (row.answers.front() == 502 && row.answers.size() == 2) CHECK(bench.app.connections >= 2);
  }
}

TEST_CASE("RFC 9112, 9.3.1: what is not idempotent is not sent twice") {
  for (const bool idempotent : {false, true}) {
    CAPTURE(idempotent);
    Bench bench;
    bench.app.answer = "";
    bench.app.closes = true;
    const std::string fields = kHost + "Connection: close\r\n";
    const std::string answer =
        idempotent ? bench.talk("GET /a HTTP/1.1\r\n" + fields + "\r\n")
                   : bench.talk("POST /a HTTP/1.1\r\n" + fields + length(5) + "\r\nhello");
    CHECK(statuses(answer) == std::vector<int>{idempotent ? 200 : 502});
    CHECK(bench.app.requests == (idempotent ? 2 : 1));
  }
}

TEST_CASE("RFC 9112, 9.3.2: answers come in the order of the requests") {
  Fixture fixture;
  fixture.start_machine("m1", "127.0.0.1");
  fixture.target("m1", "127.0.0.1");
  fixture.start_all();
  std::string all;
  for (const char* body : {"one", "two", "six"}) all += post(length(3), body);
  const std::string answer = fixture.talk(all + kProbe);
  const auto at = [&](const char* text) { return answer.find(std::string("m1:") + text); };
  CHECK(statuses(answer) == std::vector<int>{200, 200, 200, 200});
  CHECK(at("one") < at("two"));
  CHECK(at("two") < at("six"));
  CHECK(at("six") != std::string::npos);
}

TEST_CASE("RFC 9112, 9.8: the router ends a TLS connection by a closure alert") {
  Fixture fixture;
  fixture.start_machine("m1", "127.0.0.1");
  fixture.target("m1", "127.0.0.1");
  const WallTime now = fixture.h().clock.wall();
  const crypto::KeyPair ca = *crypto::create_ca("test", now);
  const auto leaf = *crypto::issue(ca, {"hello.test"}, now, 30);
  fixture.route.certificates = {fixture.sealed_certificate("hello.test", leaf)};
  fixture.start_all();
  struct Go {
    static async::Task<Result<std::string>> run(Fixture& f, std::string authority) {
      auto tls = *crypto::TlsClient::create(authority, crypto::TlsClient::Verify::yes, {});
      CO_TRY(auto stream, co_await f.h().network.connect(f.https_address, f.soon()));
      CO_TRY(auto secure, co_await tls->connect(std::move(stream), "hello.test"));
      CO_TRY_VOID(co_await secure->write(kProbe));
      std::string all;
      std::array<char, 4096> buffer;
      for (;;) {  // an end without the alert is an error of the stream
        CO_TRY(const std::size_t n, co_await secure->read(buffer));
        if (n == 0) co_return all;
        all.append(buffer.data(), n);
      }
    }
  };
  const auto all = fixture.loop().run(Go::run(fixture, ca.certificate_pem));
  REQUIRE_MESSAGE(all.has_value(), all.error().context);
  CHECK(statuses(*all) == std::vector<int>{200});
}

}  // namespace
}  // namespace perigee::router
