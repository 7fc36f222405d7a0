#include "proxy_protocol/proxy_header.h"

#include <doctest/doctest.h>

#include "base/text.h"

namespace perigee::proxy_protocol {
namespace {

sys::Address address(std::string_view text) {
  return *sys::Address::parse(text);
}

std::string from_hex(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return out;
}

std::string hex_of(std::string_view bytes) {
  return to_hex({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

constexpr std::string_view kSignatureHex = "0d0a0d0a000d0a515549540a";

// Section 2.2 of the specification, byte by byte.
struct Row {
  const char* name;
  Header header;
  std::string_view hex;  // after the signature
};

const std::vector<Row>& rows() {
  static const std::vector<Row> kRows{
      {"TCP over IPv4",
       {.transport = Transport::tcp,
        .source = address("203.0.113.9:49320"),
        .destination = address("198.51.100.1:443")},
       "2111000ccb007109c6336401c0a801bb"},
      {"TCP over IPv6",
       {.transport = Transport::tcp,
        .source = address("[2001:db8::9]:49320"),
        .destination = address("[2001:db8::1]:443")},
       "2121002420010db800000000000000000000000920010db8000000000000000000000001c0a801bb"},
      {"UDP over IPv4",
       {.transport = Transport::udp,
        .source = address("203.0.113.9:53"),
        .destination = address("198.51.100.1:53")},
       "2112000ccb007109c633640100350035"},
      {"a connection of the sender's own", {.command = Command::local}, "20000000"},
      {"fields of one's own",
       {.tlvs = {{.type = 0xe0, .value = "m1"}, {.type = 0xe1, .value = ""}}},
       "21000008e000026d31e10000"},
  };
  return kRows;
}

TEST_CASE("headers are written as the specification says, and read back") {
  for (const Row& row : rows()) {
    CAPTURE(row.name);
    const auto bytes = encode(row.header);
    REQUIRE(bytes.has_value());
    CHECK(hex_of(*bytes) == std::string(kSignatureHex) + std::string(row.hex));
    const auto decoded = decode(*bytes + "GET / HTTP/1.1");
    REQUIRE(decoded.has_value());
    REQUIRE(decoded->has_value());
    CHECK((*decoded)->header == row.header);
    CHECK((*decoded)->size == bytes->size());
  }
}

TEST_CASE("each beginning of a header waits for the rest") {
  for (const Row& row : rows()) {
    const std::string bytes = *encode(row.header);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      const auto decoded = decode(std::string_view(bytes).substr(0, size));
      REQUIRE(decoded.has_value());
      CHECK_FALSE(decoded->has_value());
    }
  }
}

TEST_CASE("addresses of Unix sockets and padding are read over") {
  const std::string unix_header =
      from_hex(std::string(kSignatureHex) + "213100d8") + std::string(216, 'u');
  const auto decoded = decode(unix_header);
  REQUIRE(decoded.has_value());
  CHECK((*decoded)->size == 16 + 216);
  CHECK_FALSE((*decoded)->header.source.has_value());
  const auto padded = decode(from_hex(std::string(kSignatureHex) + "2100000504000200ff"));
  REQUIRE(padded.has_value());
  REQUIRE(padded->has_value());
  CHECK((*padded)->header.find(0x04)->size() == 2);
}

TEST_CASE("what is no header of version 2 is refused") {
  const std::vector<std::string> refused{
      "GET / HTTP/1.1\r\n",
      "PROXY TCP4 203.0.113.9 198.51.100.1 1 2\r\n",
      from_hex(std::string(kSignatureHex) + "11000000"),          // version 1
      from_hex(std::string(kSignatureHex) + "22000000"),          // command 2
      from_hex(std::string(kSignatureHex) + "21410000"),          // family 4
      from_hex(std::string(kSignatureHex) + "21130000"),          // transport 3
      from_hex(std::string(kSignatureHex) + "2111000401020304"),  // addresses cut off
      from_hex(std::string(kSignatureHex) + "21000004e0000541"),  // a TLV longer than the rest
      from_hex(std::string(kSignatureHex) + "21000002e000"),      // half of a TLV's head
      from_hex(std::string(kSignatureHex) + "2100ffff"),          // longer than the bound
  };
  for (const std::string& bytes : refused) {
    CAPTURE(hex_of(bytes));
    CHECK_FALSE(decode(bytes).has_value());
  }
}

TEST_CASE("what no header can say is not written") {
  CHECK_FALSE(encode({.source = address("1.2.3.4:1"), .destination = address("[::1]:1")}));
  CHECK_FALSE(encode({.tlvs = {{.type = 0xe0, .value = std::string(kMaxHeader, 'x')}}}));
  CHECK_FALSE(encode({.tlvs = std::vector<Tlv>(kMaxTlvs + 1)}));
}

}  // namespace
}  // namespace perigee::proxy_protocol
