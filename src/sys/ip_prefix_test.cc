#include "sys/ip_prefix.h"

#include <doctest/doctest.h>

namespace perigee::sys {
namespace {

Address address(std::string_view host) {
  return *Address::ip(host, 80);
}

TEST_CASE("a network holds the addresses that begin as it does") {
  const auto v4 = IpPrefix::parse("203.0.113.16/28");
  REQUIRE(v4.has_value());
  CHECK(v4->contains(address("203.0.113.16")));
  CHECK(v4->contains(address("203.0.113.31")));
  CHECK_FALSE(v4->contains(address("203.0.113.32")));
  CHECK_FALSE(v4->contains(address("::1")));
  CHECK_FALSE(v4->contains(*Address::unix_path("/run/x")));
  const auto v6 = IpPrefix::parse("2001:db8:a::/48");
  REQUIRE(v6.has_value());
  CHECK(v6->contains(address("2001:db8:a:ffff::1")));
  CHECK_FALSE(v6->contains(address("2001:db8:b::1")));
  CHECK(IpPrefix::parse("0.0.0.0/0")->contains(address("192.0.2.1")));
}

TEST_CASE("a network's addresses are counted from its first") {
  const auto v4 = IpPrefix::parse("203.0.113.16/28");
  CHECK(v4->size() == 16);
  CHECK(v4->at(0) == "203.0.113.16");
  CHECK(v4->at(15) == "203.0.113.31");
  CHECK(IpPrefix::parse("10.0.0.0/8")->at(256) == "10.0.1.0");
  const auto v6 = IpPrefix::parse("2001:db8::/32");
  CHECK(v6->size() == std::uint64_t{1} << 63);
  CHECK(v6->at(0x1'0000) == "2001:db8::1:0");
  const auto one = IpPrefix::parse("192.0.2.7");
  REQUIRE(one.has_value());
  CHECK(one->size() == 1);
  CHECK(one->str() == "192.0.2.7/32");
}

TEST_CASE("what is no network is refused") {
  for (const std::string_view text : {"", "203.0.113.0/33", "203.0.113.1/28", "2001:db8::1/64",
                                      "2001:db8::/129", "web/8", "203.0.113.0/", "1.2.3/8"}) {
    CAPTURE(text);
    CHECK_FALSE(IpPrefix::parse(text).has_value());
  }
}

}  // namespace
}  // namespace perigee::sys
