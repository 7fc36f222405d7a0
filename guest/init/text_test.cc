#include <doctest/doctest.h>

#include "init/text.h"

namespace perigee::init {
namespace {

TEST_CASE("numbers are decimal digits below the id that means none") {
  CHECK(parse_number("0") == 0u);
  CHECK(parse_number("4294967294") == 4294967294u);
  for (const char* text : {"", "-1", "+1", " 1", "1x", "4294967295", "99999999999"}) {
    CHECK_FALSE(parse_number(text).has_value());
  }
}

TEST_CASE("a boot parameter is a whole word") {
  constexpr std::string_view kLine = "quiet xperigee.exit=a perigee.exit=poweroff perigee.exit\n";
  CHECK(boot_parameter(kLine, "perigee.exit") == "poweroff");
  CHECK_FALSE(boot_parameter(kLine, "exit").has_value());
  CHECK_FALSE(boot_parameter("", "perigee.exit").has_value());
}

TEST_CASE("split keeps empty parts, words do not") {
  CHECK(split("a::b:", ':') == std::vector<std::string_view>{"a", "", "b", ""});
  CHECK(words("  a \t b\n") == std::vector<std::string_view>{"a", "b"});
  CHECK(words(" ").empty());
}

}  // namespace
}  // namespace perigee::init
