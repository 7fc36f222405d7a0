#include "cli/dotenv.h"

#include <doctest/doctest.h>

namespace perigee::cli {
namespace {

TEST_CASE("a .env file's lines are names and values") {
  const auto parsed = parse_dotenv(
      "# a comment\n\nA=1\r\nexport B = two words \nC=\"quoted\"\nD='x=y'\nE=\nF=\"half\n");
  REQUIRE(parsed.has_value());
  CHECK(*parsed == std::vector<Assignment>{{"A", "1"},
                                           {"B", "two words"},
                                           {"C", "quoted"},
                                           {"D", "x=y"},
                                           {"E", ""},
                                           {"F", "\"half"}});
}

TEST_CASE("a wrong line is named by its number, and not shown") {
  const auto parsed = parse_dotenv("A=1\nhunter2\n");
  REQUIRE_FALSE(parsed.has_value());
  CHECK(parsed.error().context == "line 2: expected NAME=VALUE");
  CHECK_FALSE(parse_dotenv("=hunter2").has_value());
}

TEST_CASE("an argument's value is taken as it is") {
  CHECK(*parse_assignment("A= \"b\" ", "argument 1") == Assignment("A", " \"b\" "));
  CHECK(parse_assignment("hunter2", "argument 1").error().context ==
        "argument 1: expected NAME=VALUE");
}

}  // namespace
}  // namespace perigee::cli
