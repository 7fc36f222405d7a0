#include "model/host_name.h"

#include <doctest/doctest.h>

namespace perigee::model {

TEST_CASE("host names are read in lower case, and what is none is refused") {
  CHECK(parse_host_name("WWW.Example.com.") == "www.example.com");
  CHECK(parse_host_name("*.example.com") == "*.example.com");
  CHECK(parse_host_name("xn--bcher-kva.example") == "xn--bcher-kva.example");
  for (const char* wrong : {"", "localhost", "*.com", "www.*.com", "a..b", "-a.example",
                            "a-.example", "127.0.0.1", "[::1]", "a_b.example", "a.example:443",
                            "https://a.example", "a.example/", "*", "*.", "a b.example"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_host_name(wrong).has_value());
  }
  CHECK_FALSE(parse_host_name(std::string(64, 'a') + ".example").has_value());
  CHECK(parse_host_name(std::string(63, 'a') + ".example").has_value());
}

TEST_CASE("a name in letters of another script is sent to its A-labels") {
  const auto refused = parse_host_name("bücher.example");
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().context.find("xn--") != std::string::npos);
}

}  // namespace perigee::model
