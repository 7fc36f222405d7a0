#include "json/json.h"

#include <doctest/doctest.h>

namespace perigee::json {
namespace {

TEST_CASE("an error says where the text is wrong, and nothing of what it holds") {
  const auto wrong = parse(R"({"password": "hunter2" oops})");
  REQUIRE_FALSE(wrong.has_value());
  CHECK(wrong.error().context.find("byte") != std::string::npos);
  CHECK(wrong.error().context.find("hunter2") == std::string::npos);
  const auto cut = parse(R"({"password": "hunter2)");
  REQUIRE_FALSE(cut.has_value());
  CHECK(cut.error().context.find("hunter2") == std::string::npos);
}

TEST_CASE("what is written reads back equal and in order") {
  const Value value = object({{"z", 1},
                              {"a", array({Value("x"), Value(nullptr), Value(true), Value(1.5)})},
                              {"s", "tab\t\"quote\" \xc3\xa9"}});
  const auto again = parse(value.dump());
  REQUIRE(again.has_value());
  CHECK(*again == value);
  CHECK(value.dump().starts_with(R"({"z":1,"a":["x",null,true,1.5])"));
}

TEST_CASE("bad documents are errors, not aborts") {
  for (const char* text : {"", "{", "[1,]", "{\"a\":}", "nul", "{\"a\":1}x", "\"\xff\""}) {
    CAPTURE(text);
    CHECK_FALSE(parse(text).has_value());
  }
  CHECK_FALSE(parse(std::string(100, '[')).has_value());
}

TEST_CASE("readers name the member that is wrong") {
  const Value doc = parse(R"({"name": 5, "list": ["a", 1], "none": null})").value();
  CHECK(doc.require_string("name").error().context == "name: expected a string");
  CHECK(doc.require_string("gone").error().context == "gone: missing");
  CHECK(doc.optional_strings("list").error().context == "list: expected a list of strings");
  CHECK(doc.optional_int("none", 7).value() == 7);
}

TEST_CASE("bytes that are not UTF-8 are replaced on output") {
  CHECK(Value(std::string("a\xff")).dump() == "\"a\xef\xbf\xbd\"");
}

}  // namespace
}  // namespace perigee::json
