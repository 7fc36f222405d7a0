#include <doctest/doctest.h>

#include "init/user.h"

namespace perigee::init {
namespace {

constexpr std::string_view kPasswd =
    "root:x:0:0:root:/root:/bin/sh\n"
    "broken line\n"
    "web:x:1000:1001::/home/web:/bin/sh\n"
    "1000:x:2000:2000::/srv:/bin/sh\n"
    "bad:x:-5:7::/:/bin/sh\n"
    "homeless:x:1005:1005::\n";
constexpr std::string_view kGroup =
    "root:x:0:\n"
    "web:x:1001:\n"
    "adm:x:4:web,root\n"
    "log:x:5:other,web\n"
    "\n"
    "www:x:33:webmaster\n";

TEST_CASE("a user's spec gives the ids, groups and home that Docker gives") {
  struct Row {
    const char* spec;
    User user;
  };
  const Row rows[] = {
      {"", {0, 0, {4}, "/root"}},
      {"root", {0, 0, {4}, "/root"}},
      {"web", {1000, 1001, {4, 5}, "/home/web"}},
      {"web:adm", {1000, 4, {}, "/home/web"}},
      {"web:77", {1000, 77, {}, "/home/web"}},
      {"1000", {2000, 2000, {}, "/srv"}},  // the name wins over the uid
      {"1005", {1005, 1005, {}, "/"}},
      {"4242", {4242, 0, {}, "/"}},
      {"4242:log", {4242, 5, {}, "/"}},
      {":33", {0, 33, {}, "/root"}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.spec);
    const auto user = resolve_user(row.spec, kPasswd, kGroup);
    REQUIRE(user.has_value());
    CHECK(*user == row.user);
  }
}

TEST_CASE("an image without passwd has root and numbers") {
  CHECK(resolve_user("", "", "") == User{0, 0, {}, "/root"});
  CHECK(resolve_user("10:20", "", "") == User{10, 20, {}, "/"});
}

TEST_CASE("an unknown user or group is refused by name") {
  for (const char* spec : {"nobody", "bad", "-1", "4294967295"}) {
    const auto user = resolve_user(spec, kPasswd, kGroup);
    REQUIRE_FALSE(user.has_value());
    CHECK(user.error().message.find(spec) != std::string::npos);
  }
  const auto user = resolve_user("web:nogroup", kPasswd, kGroup);
  REQUIRE_FALSE(user.has_value());
  CHECK(user.error().message.find("group \"nogroup\"") == 0);
}

}  // namespace
}  // namespace perigee::init
