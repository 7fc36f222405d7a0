// The pure parts: fields, windows, round-trip times, the queue of bytes.
#include <doctest/doctest.h>

#include "http2/byte_queue.h"
#include "http2/fields.h"
#include "http2/rtt.h"
#include "http2/stream_window.h"

namespace perigee::http2 {
namespace {

constexpr std::uint32_t kLeastWindow = kBetweenRouters.least_window;
constexpr std::uint32_t kFirstWindow = kBetweenRouters.first_window;
constexpr std::uint32_t kMaxWindow = kBetweenRouters.max_window;

http::Headers fields_of(std::initializer_list<http::Headers::Field> list) {
  http::Headers headers;
  for (const auto& [name, value] : list) headers.add(name, value);
  return headers;
}

TEST_CASE("a head is the same after it has crossed") {
  http::RequestHead head{.method = "PUT", .target = "/a?b=%20c"};
  head.headers.add("host", "app.test:8080");
  head.headers.add("x-name", "value");
  const auto again = request_from(request_fields(head));
  REQUIRE(again.has_value());
  CHECK(again->method == head.method);
  CHECK(again->target == head.target);
  CHECK(again->headers.fields() == head.headers.fields());
}

http::Headers request(std::string method, std::string path, std::string authority = "a.test",
                      std::string scheme = "https") {
  return fields_of({{":method", std::move(method)},
                    {":scheme", std::move(scheme)},
                    {":authority", std::move(authority)},
                    {":path", std::move(path)}});
}

TEST_CASE("heads that could not be written as HTTP/1.1 are refused") {
  using Fields = http::Headers;
  const std::vector<Fields> refused{
      request("GE T", "/"),
      request("GET", "relative"),
      request("GET", "/a b"),
      request("GET", "/a\nb"),
      request("GET", "/a#b"),
      request("GET", "*"),
      request("GET", ""),
      request("", "/"),
      request("GET", "/\xc3\xa4"),
      request("GET", "/", "a/b"),
      request("GET", "/", "a b"),
      request("GET", "/", "a@b"),
      request("CONNECT", "", "a:1"),
      request("GET", "/", "a", "ftp"),
      request("GET", "/" + std::string(http::kMaxTargetBytes, 'x')),
  };
  for (const Fields& fields : refused) {
    CAPTURE(*fields.find(":path"));
    CHECK_FALSE(request_from(fields).has_value());
  }
  CHECK(request_from(request("OPTIONS", "*")).has_value());
  CHECK(request_from(request("CONNECT", "", "a:1")).error().status == 501);
  CHECK_FALSE(response_from(fields_of({{":status", "99"}})).has_value());
  CHECK_FALSE(response_from(fields_of({{":status", "2xx"}})).has_value());
}

TEST_CASE("the pieces of a cookie are one field again, and Host is :authority's") {
  http::Headers fields = request("GET", "/");
  for (const auto& [name, value] : {http::Headers::Field("host", "A.test"),
                                    {"cookie", "a=1"},
                                    {"cookie", "b=2"},
                                    {"cookie", ""}}) {
    fields.add(name, value);
  }
  const auto head = request_from(fields);
  REQUIRE(head.has_value());
  CHECK(*head->headers.find("cookie") == "a=1; b=2");
  CHECK(head->headers.count("host") == 1);
  CHECK(*head->headers.find("host") == "a.test");
  fields.set("host", "other.test");
  CHECK_FALSE(request_from(fields).has_value());
}

TEST_CASE("calls are told from other requests by their content type") {
  for (const auto& [type, call] :
       std::vector<std::pair<std::string, bool>>{{"application/grpc", true},
                                                 {"application/grpc+proto", true},
                                                 {"APPLICATION/GRPC; charset=x", true},
                                                 {"application/grpc-web", false},
                                                 {"application/grpc-web+proto", false},
                                                 {"application/json", false}}) {
    CAPTURE(type);
    http::Headers headers;
    headers.add("content-type", type);
    CHECK(is_grpc(headers) == call);
  }
  CHECK_FALSE(is_grpc({}));
}

TEST_CASE("a window doubles for a reader that keeps up, up to its most") {
  const MonotonicTime start{0};
  StreamWindow window(start, kFirstWindow, kBetweenRouters);
  CHECK_FALSE(window.taken(kFirstWindow / 2, start + 50ms, 100ms, Pressure::none));
  CHECK(window.taken(kFirstWindow / 2, start + 100ms, 100ms, Pressure::none));
  CHECK(window.size() == 2 * kFirstWindow);
  CHECK(window.taken(2 * kFirstWindow, start + 200ms, 100ms, Pressure::none));
  CHECK(window.taken(4 * kFirstWindow, start + 300ms, 100ms, Pressure::none));
  CHECK(window.size() == kMaxWindow);
  CHECK_FALSE(window.taken(kMaxWindow, start + 400ms, 100ms, Pressure::none));
}

TEST_CASE("a window stays for a reader that is slower than the path") {
  StreamWindow window({0}, kFirstWindow, kBetweenRouters);
  CHECK_FALSE(window.taken(kFirstWindow, MonotonicTime{0} + 1s, 100ms, Pressure::none));
  CHECK(window.size() == kFirstWindow);
}

TEST_CASE("a pressed window falls to the least and comes back for a reader that keeps up") {
  StreamWindow window({0}, kMaxWindow, kBetweenRouters);
  window.press({0});
  CHECK(window.size() == kLeastWindow);
  for (int i = 0; i < 10; ++i) {
    std::ignore =
        window.taken(window.size(), MonotonicTime{0} + i * 10ms, 100ms, Pressure::pressed);
  }
  CHECK(window.size() == kFirstWindow);
}

TEST_CASE("round-trip times are smoothed as RFC 6298 does, and the least is kept") {
  RttEstimator rtt;
  CHECK_FALSE(rtt.known());
  CHECK(rtt.lowest() == 0ms);
  rtt.add(100ms);
  CHECK(rtt.smoothed() == 100ms);
  CHECK(rtt.deviation() == 50ms);
  rtt.add(180ms);
  CHECK(rtt.smoothed() == 110ms);
  CHECK(rtt.deviation() == 57500us);
  CHECK(rtt.lowest() == 100ms);
}

TEST_CASE("a path that has become longer is known after as many samples as are kept") {
  RttEstimator rtt;
  rtt.add(10ms);
  for (std::size_t i = 0; i + 1 < RttEstimator::kSamples; ++i) rtt.add(50ms);
  CHECK(rtt.lowest() == 10ms);
  rtt.add(50ms);
  CHECK(rtt.lowest() == 50ms);
}

TEST_CASE("bytes leave a queue in the order they came in") {
  ByteQueue queue;
  std::string out;
  std::array<char, 7> buffer{};
  for (int i = 0; i < 100; ++i) queue.append("0123456789");
  while (!queue.empty()) out.append(buffer.data(), queue.read(buffer));
  CHECK(out.size() == 1000);
  CHECK(out.ends_with("0123456789"));
  CHECK(out.substr(500, 10) == "0123456789");
}

}  // namespace
}  // namespace perigee::http2
