// The codec as tables: what is accepted, what is refused and with which status, by RFC section.
#include <doctest/doctest.h>

#include "http/codec.h"

namespace perigee::http {
namespace {

constexpr int kAccepted = 0;
constexpr int kIncomplete = -1;

// As a server sees it: kAccepted or the status of the refusal.
int request_status(std::string_view text) {
  HeadScanner scanner;
  const auto size = scanner.scan(text);
  if (!size) return size.error().status;
  if (!*size) return kIncomplete;
  const auto head = parse_request_head(text.substr(0, **size));
  if (!head) return head.error().status;
  const auto framing = request_framing(*head);
  return framing ? kAccepted : framing.error().status;
}

int response_status(std::string_view text, std::string_view method = "GET") {
  HeadScanner scanner;
  const auto size = scanner.scan(text);
  if (!size) return size.error().status;
  if (!*size) return kIncomplete;
  const auto head = parse_response_head(text.substr(0, **size));
  if (!head) return head.error().status;
  const auto framing = response_framing(*head, method);
  return framing ? kAccepted : framing.error().status;
}

struct Row {
  const char* section;
  std::string text;
  int status;
};

std::string get(const std::string& fields) {
  return "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}
std::string post(const std::string& fields) {
  return "POST / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}

// Longer than 70 lines: a table.
TEST_CASE("request heads by section of RFC 9112") {
  const std::vector<Row> rows{
      {"2.2 plain", get(""), kAccepted},
      {"2.2 incomplete", "GET / HTTP/1.1\r\nHost: a\r\n", kIncomplete},
      {"2.2 bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
      {"2.2 bare LF after a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
      {"2.2 bare LF as the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
      {"2.2 bare CR in a value", get("X: a\rb\r\n"), 400},
      {"2.2 bare CR in the request line", "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"2.2 CR CR LF", get("X: a\r\r\n"), 400},
      {"2.2 space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
      {"2.3 version 1.0", "GET / HTTP/1.0\r\n\r\n", kAccepted},
      {"2.3 a later minor version", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", kAccepted},
      {"2.3 version 2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
      {"2.3 no version (HTTP/0.9)", "GET /\r\n\r\n", 400},
      {"2.3 version in lower case", "GET / http/1.1\r\nHost: a\r\n\r\n", 400},
      {"2.3 two digits", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400},
      {"3 two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"3 tab for space", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"3 space at the end", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
      {"3 leading space", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"3.1 invalid method", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"3.1 method too long", std::string(40, 'A') + " / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
      {"3.2 space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"3.2 NUL in the target", std::string("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 29), 400},
      {"3.2 raw UTF-8 in the target", "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"3.2 fragment", "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"3.2 relative target", "GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"3.2 no Host", "GET / HTTP/1.1\r\n\r\n", 400},
      {"3.2 two Hosts", get("Host: b\r\n"), 400},
      {"3.2 two equal Hosts", get("Host: a\r\n"), 400},
      {"3.2 two Hosts in 1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"3.2 userinfo in Host", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400},
      {"3.2 a list in Host", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
      {"3.2 path in Host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
      {"3.2 IPv6 Host", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", kAccepted},
      {"3.2.2 absolute-form", "GET http://b/x HTTP/1.1\r\nHost: a\r\n\r\n", kAccepted},
      {"3.2.2 absolute-form, other scheme", "GET ftp://b/x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"3.2.2 absolute-form, no host", "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"3.2.3 CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501},
      {"3.2.4 asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", kAccepted},
      {"3.2.4 asterisk with GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"3 target too long", "GET /" + std::string(kMaxTargetBytes, 'a') + " HTTP/1.1\r\n\r\n", 414},
      {"5 no colon", get("X\r\n"), 400},
      {"5 empty name", get(": x\r\n"), 400},
      {"5 NUL in a value", get(std::string("X: a\0b\r\n", 8)), 400},
      {"5 DEL in a value", get("X: a\x7f\r\n"), 400},
      {"5 control character in a value", get("X: a\x01\r\n"), 400},
      {"5 obs-text in a value", get("X: caf\xc3\xa9\r\n"), kAccepted},
      {"5 parenthesis in a name", get("X(: a\r\n"), 400},
      {"5 UTF-8 in a name", get("X\xc3\xa9: a\r\n"), 400},
      {"5 empty value", get("X:\r\n"), kAccepted},
      {"5.1 space before the colon", get("Content-Length : 5\r\n"), 400},
      {"5.1 tab before the colon", get("X\t: 5\r\n"), 400},
      {"5.2 folded line", get("X: a\r\n b\r\n"), 400},
      {"5.2 folded with a tab", get("X: a\r\n\tb\r\n"), 400},
      {"6.1 chunked", post("Transfer-Encoding: chunked\r\n"), kAccepted},
      {"6.1 chunked in capitals", post("Transfer-Encoding: CHUNKED\r\n"), kAccepted},
      {"6.1 TE and CL", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400},
      {"6.1 CL and TE", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400},
      {"6.1 chunked twice", post("Transfer-Encoding: chunked, chunked\r\n"), 400},
      {"6.1 two fields", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400},
      {"6.1 chunked not last", post("Transfer-Encoding: chunked, gzip\r\n"), 400},
      {"6.1 identity", post("Transfer-Encoding: identity\r\n"), 400},
      {"6.1 unknown before chunked", post("Transfer-Encoding: gzip, chunked\r\n"), 501},
      {"6.1 empty", post("Transfer-Encoding: \r\n"), 400},
      {"6.1 vertical tab",
       post("Transfer-Encoding: \x0b"
            "chunked\r\n"),
       400},
      {"6.1 quoted", post("Transfer-Encoding: \"chunked\"\r\n"), 400},
      {"6.1 parameter", post("Transfer-Encoding: chunked;x=1\r\n"), 400},
      {"6.1 list with an empty element", post("Transfer-Encoding: ,chunked\r\n"), 400},
      {"6.1 TE in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
       400},
      {"6.2 length", post("Content-Length: 5\r\n"), kAccepted},
      {"6.2 blanks around", post("Content-Length: \t5 \r\n"), kAccepted},
      {"6.2 two equal", post("Content-Length: 5\r\nContent-Length: 5\r\n"), 400},
      {"6.2 two different", post("Content-Length: 5\r\nContent-Length: 6\r\n"), 400},
      {"6.2 list", post("Content-Length: 5, 5\r\n"), 400},
      {"6.2 sign", post("Content-Length: +5\r\n"), 400},
      {"6.2 negative", post("Content-Length: -1\r\n"), 400},
      {"6.2 hexadecimal", post("Content-Length: 0x5\r\n"), 400},
      {"6.2 empty", post("Content-Length:\r\n"), 400},
      {"6.2 blank inside", post("Content-Length: 1 1\r\n"), 400},
      {"6.2 overflow", post("Content-Length: 18446744073709551621\r\n"), 400},
      {"6.2 above 2^63", post("Content-Length: 9223372036854775808\r\n"), 400},
  };
  for (const Row& row : rows) {
    CAPTURE(row.section);
    CHECK(request_status(row.text) == row.status);
  }
}

TEST_CASE("response heads by section of RFC 9112") {
  const std::vector<Row> rows{
      {"4 plain", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", kAccepted},
      {"4 no reason", "HTTP/1.1 200 \r\n\r\n", kAccepted},
      {"4 no reason, no space", "HTTP/1.1 200\r\n\r\n", kAccepted},
      {"4 two digits", "HTTP/1.1 20 OK\r\n\r\n", 502},
      {"4 four digits", "HTTP/1.1 2000 OK\r\n\r\n", 502},
      {"4 status below 100", "HTTP/1.1 099 X\r\n\r\n", 502},
      {"4 status above 599", "HTTP/1.1 600 X\r\n\r\n", 502},
      {"4 control character in the reason", "HTTP/1.1 200 O\x01K\r\n\r\n", 502},
      {"4 other protocol", "ICY 200 OK and more\r\n\r\n", 502},
      {"5.1 space before the colon", "HTTP/1.1 200 OK\r\nX : a\r\n\r\n", 502},
      {"5.2 folded line", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", 502},
      {"6.1 TE and CL",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 502},
      {"6.1 gzip, chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 502},
      {"6.1 TE from 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 502},
      {"6.2 two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 502},
      {"6.2 bad length", "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n", 502},
  };
  for (const Row& row : rows) {
    CAPTURE(row.section);
    CHECK(response_status(row.text) == row.status);
  }
}

Framing framing_of(int status, const char* method, const char* fields) {
  const std::string text =
      "HTTP/1.1 " + std::to_string(status) + " X\r\n" + std::string(fields) + "\r\n";
  return *response_framing(*parse_response_head(text), method);
}

TEST_CASE("how a response's body is framed (RFC 9112 section 6.3)") {
  using Kind = Framing::Kind;
  CHECK(framing_of(200, "GET", "Content-Length: 7\r\n") == Framing{Kind::length, 7});
  CHECK(framing_of(200, "GET", "Content-Length: 0\r\n") == Framing{});
  CHECK(framing_of(200, "GET", "Transfer-Encoding: chunked\r\n").kind == Kind::chunked);
  CHECK(framing_of(200, "GET", "").kind == Kind::until_close);
  CHECK(framing_of(200, "HEAD", "Content-Length: 7\r\n").kind == Kind::none);
  CHECK(framing_of(200, "HEAD", "Transfer-Encoding: chunked\r\n").kind == Kind::none);
  CHECK(framing_of(204, "GET", "").kind == Kind::none);
  CHECK(framing_of(304, "GET", "Content-Length: 7\r\n").kind == Kind::none);
  CHECK(framing_of(103, "GET", "").kind == Kind::none);
}

TEST_CASE("a target in absolute-form decides over Host (RFC 9112 section 3.2.2)") {
  const auto head = parse_request_head("GET http://b:81?q HTTP/1.1\r\nHost: a\r\n\r\n");
  REQUIRE(head.has_value());
  CHECK(head->target == "/?q");
  CHECK(*head->headers.find("HOST") == "b:81");
  CHECK(head->headers.count("host") == 1);
}

TEST_CASE("a head that comes byte by byte is found once, and its size is bounded") {
  const std::string text = get("X: y\r\n") + "rest";
  HeadScanner scanner;
  for (std::size_t n = 0; n <= text.size(); ++n) {
    const auto size = scanner.scan(std::string_view(text).substr(0, n));
    REQUIRE(size.has_value());
    if (n < text.size() - 4) CHECK_FALSE(size->has_value());
    if (size->has_value()) {
      CHECK(**size == text.size() - 4);
      break;
    }
  }
  HeadScanner endless;
  CHECK(endless.scan(std::string(kMaxHeadBytes + 1, 'a')).error().status == 431);
  HeadScanner lines;
  std::string many = "GET / HTTP/1.1\r\n";
  while (many.size() <= kMaxHeadBytes) many += "X: y\r\n";
  CHECK(lines.scan(many).error().status == 431);
  std::string fields;
  for (std::size_t i = 0; i < kMaxHeaderFields; ++i) fields += "X: y\r\n";
  CHECK(request_status(get(fields)) == 431);
}

TEST_CASE("which connections go on (RFC 9112 section 9.3)") {
  const auto with = [](const char* value) {
    Headers headers;
    headers.add("Connection", value);
    return headers;
  };
  CHECK(keeps_alive(1, Headers()));
  CHECK_FALSE(keeps_alive(0, Headers()));
  CHECK_FALSE(keeps_alive(1, with("close")));
  CHECK_FALSE(keeps_alive(1, with("foo, CLOSE")));
  CHECK(keeps_alive(0, with("Keep-Alive")));
  CHECK_FALSE(keeps_alive(0, with("keep-alive, close")));
}

// All of `text` in pieces of `piece` bytes: the body, or "!why".
std::string decode(Framing framing, std::string_view text, std::size_t piece) {
  BodyDecoder decoder(framing);
  std::string body;
  while (!text.empty() && !decoder.done()) {
    const auto step = decoder.step(text.substr(0, piece));
    if (!step) return "!" + std::string(step.error().why);
    body += step->data;
    text.remove_prefix(step->consumed);
  }
  if (const auto ended = decoder.end_of_input(); !ended)
    return "!" + std::string(ended.error().why);
  return body + (text.empty() ? "" : "|" + std::string(text));
}

TEST_CASE("chunked bodies (RFC 9112 section 7.1), whole and byte by byte") {
  const std::vector<std::pair<std::string, std::string>> rows{
      {"0\r\n\r\n", ""},
      {"5\r\nhello\r\n0\r\n\r\n", "hello"},
      {"5\r\nhello\r\n1\r\n \r\nA\r\n0123456789\r\n0\r\n\r\nGET", "hello 0123456789|GET"},
      {"a\r\n0123456789\r\n0\r\n\r\n", "0123456789"},
      {"005\r\nhello\r\n000\r\n\r\n", "hello"},
      {"5;ext=1;q=\"x\"\r\nhello\r\n0;last\r\n\r\n", "hello"},
      {"0\r\nX-Trailer: v\r\nY: w\r\n\r\n", ""},
      {"5\nhello\r\n0\r\n\r\n", "!bare line feed"},
      {"5\r\nhello\n0\r\n\r\n", "!chunk data without its CRLF"},
      {"5\r\nhelloX0\r\n\r\n", "!chunk data without its CRLF"},
      {"5\r\nhello\r0\r\n\r\n", "!chunk data without its CRLF"},
      {"\r\nhello\r\n0\r\n\r\n", "!invalid chunk size"},
      {"5 \r\nhello\r\n0\r\n\r\n", "!invalid chunk size"},
      {" 5\r\nhello\r\n0\r\n\r\n", "!invalid chunk size"},
      {"5 ;x\r\nhello\r\n0\r\n\r\n", "!invalid chunk size"},
      {"0x5\r\nhello\r\n0\r\n\r\n", "!invalid chunk size"},
      {"+5\r\nhello\r\n0\r\n\r\n", "!invalid chunk size"},
      {"-1\r\n", "!invalid chunk size"},
      {"5\r\r\nhello", "!invalid chunk size"},
      {"5;a\rb\r\nhello\r\n0\r\n\r\n", "!control character in a chunk extension"},
      {"1000000000000000\r\n", "!invalid chunk size"},
      {"ffffffffffffffff\r\n", "!invalid chunk size"},
      {"0\r\nbad trailer\r\n\r\n", "!invalid trailer field"},
      {"0\r\nX : y\r\n\r\n", "!invalid trailer field"},
      {"0\r\nX: y\n\r\n", "!bare line feed"},
      {"5\r\nhel", "!the connection ended within a body"},
      {"5\r\nhello\r\n", "!the connection ended within a body"},
      {"0\r\n", "!the connection ended within a body"},
      {"5;" + std::string(kMaxChunkHeaderBytes, 'x'), "!chunk header or trailer too long"},
      {"0\r\nX: " + std::string(kMaxTrailerBytes, 'x'), "!chunk header or trailer too long"},
  };
  for (const auto& [text, expected] : rows) {
    for (const std::size_t piece : {text.size(), std::size_t{1}, std::size_t{3}}) {
      CAPTURE(text.substr(0, 60));
      CAPTURE(piece);
      CHECK(decode({.kind = Framing::Kind::chunked}, text, piece) == expected);
    }
  }
}

TEST_CASE("bodies of a length and until close") {
  using Kind = Framing::Kind;
  CHECK(decode({Kind::length, 5}, "helloGET", 3) == "hello|GET");
  CHECK(decode({Kind::length, 5}, "hell", 3) == "!the connection ended within a body");
  CHECK(decode({Kind::until_close, 0}, "all of it", 4) == "all of it");
  CHECK(decode({Kind::none, 0}, "GET", 4) == "|GET");
  BodyDecoder decoder({Kind::length, 5});
  CHECK(decoder.contiguous() == 5);
  decoder.skip(5);
  CHECK(decoder.done());
}

TEST_CASE("heads go out as they would be read, and nothing else goes out") {
  RequestHead request{.method = "PUT", .target = "/a?b", .headers = {}};
  request.headers.add("Host", "h");
  std::string out;
  REQUIRE(append_head(out, request).has_value());
  CHECK(out == "PUT /a?b HTTP/1.1\r\nHost: h\r\n\r\n");
  out.clear();
  REQUIRE(append_head(out, ResponseHead{.status = 404}).has_value());
  CHECK(out == "HTTP/1.1 404 Not Found\r\n\r\n");
  for (const char* value : {"a\r\nInjected: yes", "a\nb", "a\rb"}) {
    ResponseHead bad;
    bad.headers.add("X", value);
    CHECK_FALSE(append_head(out, bad).has_value());
  }
  ResponseHead bad_name;
  bad_name.headers.add("X Y", "v");
  CHECK_FALSE(append_head(out, bad_name).has_value());
  CHECK_FALSE(append_head(out, RequestHead{.method = "GET", .target = "/a b"}).has_value());
  CHECK_FALSE(append_head(out, RequestHead{.method = "G T", .target = "/"}).has_value());
  std::string chunk;
  append_chunk(chunk, "0123456789abcdef");
  CHECK(chunk == "10\r\n0123456789abcdef\r\n");
}

TEST_CASE("queries and percent-encoding") {
  const RequestHead head{.method = "GET", .target = "/p%20q?tail=5&q=a%2Bb&flag&q=2"};
  CHECK(head.path() == "/p%20q");
  CHECK(head.query("tail") == "5");
  CHECK(head.query("q") == "a+b");
  CHECK(head.query("flag") == "");
  CHECK_FALSE(head.query("none").has_value());
  CHECK(percent_decode("%41%zz%4") == "A%zz%4");
  CHECK(percent_encode("a/b c~") == "a%2Fb%20c~");
}

}  // namespace
}  // namespace perigee::http
