#include "proxy_protocol/text_header.h"

#include <doctest/doctest.h>

namespace perigee::proxy_protocol {
namespace {

Header header_between(std::string_view source, std::string_view destination) {
  return {.transport = Transport::tcp,
          .source = *sys::Address::parse(source),
          .destination = *sys::Address::parse(destination)};
}

TEST_CASE("a header of version 1 is the line of the specification") {
  CHECK(encode_text(header_between("192.0.2.7:51000", "203.0.113.9:443")) ==
        "PROXY TCP4 192.0.2.7 203.0.113.9 51000 443\r\n");
  CHECK(encode_text(header_between("[2001:db8::7]:1", "[::1]:65535")) ==
        "PROXY TCP6 2001:db8::7 ::1 1 65535\r\n");
  CHECK(encode_text({}) == "PROXY UNKNOWN\r\n");
  CHECK_FALSE(encode_text(header_between("192.0.2.7:1", "[::1]:1")).has_value());
}

TEST_CASE("what was encoded is decoded, and what follows it is left") {
  const Header header = header_between("192.0.2.7:51000", "203.0.113.9:443");
  const auto decoded = decode_any(*encode_text(header) + "GET /");
  REQUIRE(decoded.has_value());
  REQUIRE(decoded->has_value());
  CHECK((*decoded)->header == header);
  CHECK((*decoded)->size == 44);
  const auto binary = decode_any(*encode(header) + "GET /");
  REQUIRE(binary.has_value());
  REQUIRE(binary->has_value());
  CHECK((*binary)->header == header);
}

TEST_CASE("every beginning of a header asks for more") {
  const std::string all = *encode_text(header_between("192.0.2.7:51000", "203.0.113.9:443"));
  for (std::size_t size = 0; size < all.size(); ++size) {
    CAPTURE(size);
    const auto decoded = decode_any(all.substr(0, size));
    REQUIRE(decoded.has_value());
    CHECK_FALSE(decoded->has_value());
  }
}

TEST_CASE("unknown connections have no addresses") {
  for (const std::string_view text :
       {"PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"}) {
    const auto decoded = decode_text(text);
    REQUIRE(decoded.has_value());
    REQUIRE(decoded->has_value());
    CHECK((*decoded)->header == Header{});
    CHECK((*decoded)->size == text.size());
  }
}

TEST_CASE("what is no header of version 1 is refused") {
  for (const std::string& text : {std::string("GET / HTTP/1.1\r\n"), std::string("PROXY \r\n"),
                                  std::string("PROXY TCP4 192.0.2.7 203.0.113.9 51000\r\n"),
                                  std::string("PROXY TCP4 192.0.2.7 203.0.113.9 51000 443 1\r\n"),
                                  std::string("PROXY TCP4  192.0.2.7 203.0.113.9 51000 443\r\n"),
                                  std::string("PROXY TCP4 ::1 ::2 51000 443\r\n"),
                                  std::string("PROXY TCP6 192.0.2.7 203.0.113.9 51000 443\r\n"),
                                  std::string("PROXY TCP4 192.0.2.7 203.0.113.9 51000 70000\r\n"),
                                  std::string("PROXY TCP4 192.0.2.7 203.0.113.9 +5 443\r\n"),
                                  std::string("PROXY TCP4 192.0.2.7 203.0.113.9 05 443\r\n"),
                                  std::string("PROXY UDP4 192.0.2.7 203.0.113.9 5 443\r\n"),
                                  "PROXY " + std::string(kMaxTextHeader, 'x')}) {
    CAPTURE(text);
    CHECK_FALSE(decode_text(text).has_value());
  }
}

}  // namespace
}  // namespace perigee::proxy_protocol
