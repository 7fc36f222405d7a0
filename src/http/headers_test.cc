#include "http/headers.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace perigee::http {
namespace {

using Fields = std::vector<Headers::Field>;

TEST_CASE("fields stand in their order, and are found without case") {
  Headers headers;
  CHECK(headers.find("a") == nullptr);
  headers.add("Host", "a.test");
  headers.add("X-One", "1");
  headers.add("x-one", "2");
  CHECK(headers.fields() == Fields{{"Host", "a.test"}, {"X-One", "1"}, {"x-one", "2"}});
  REQUIRE(headers.find("X-ONE") != nullptr);
  CHECK(*headers.find("X-ONE") == "1");
  CHECK(headers.count("x-One") == 2);
  headers.set("X-ONE", "3");
  CHECK(headers.fields() == Fields{{"Host", "a.test"}, {"X-ONE", "3"}});
  headers.remove("host");
  headers.add_lower("X-Two", "B");
  CHECK(headers.fields() == Fields{{"X-ONE", "3"}, {"x-two", "B"}});
  headers.remove_if([](std::string_view name) { return name.starts_with("x-"); });
  CHECK(headers.fields() == Fields{{"X-ONE", "3"}});
}

TEST_CASE("growing leaves what is there as it was") {
  Headers headers;
  std::vector<OwnField> all;
  for (int i = 0; i < 300; ++i) {
    all.emplace_back("name-" + std::to_string(i), std::string(static_cast<std::size_t>(i), 'v'));
    headers.add(all.back().first, all.back().second);
  }
  CHECK(headers.fields() == Fields(all.begin(), all.end()));
}

TEST_CASE("a field's own text may be given for another") {
  Headers headers;
  headers.add("first", std::string(40, 'a'));
  for (int i = 0; i < 200; ++i) {
    headers.add(headers.fields().back().first, headers.fields().front().second);
  }
  CHECK(headers.count("first") == 201);
  for (const auto& [name, value] : headers.fields()) CHECK(value == std::string(40, 'a'));
  headers.set("first", *headers.find("first"));
  headers.set(headers.fields().front().first, "b");
  CHECK(headers.fields() == Fields{{"first", "b"}});
}

TEST_CASE("a copy has its own text, and what was moved from is empty") {
  Headers copy;
  {
    Headers headers;
    headers.add("a", "1");
    copy = headers;
    headers.set("a", "2");
    const Headers moved = std::move(headers);
    CHECK(moved.fields() == Fields{{"a", "2"}});
    CHECK(headers.fields().empty());  // NOLINT(bugprone-use-after-move): that is what is tested
    headers.add("c", "3");
    CHECK(headers.fields() == Fields{{"c", "3"}});
  }
  const Headers& same = copy;
  copy = same;
  CHECK(copy.fields() == Fields{{"a", "1"}});
}

TEST_CASE("what is empty stays so") {
  Headers headers;
  headers.add("", "");
  const Headers copy = headers;
  CHECK(copy.fields() == Fields{{"", ""}});
  CHECK(*copy.find("") == "");
}

}  // namespace
}  // namespace perigee::http
