// Errors, results, durations, ids and text helpers.
#include <doctest/doctest.h>

#include <cerrno>

#include "base/id.h"
#include "base/result.h"
#include "base/text.h"
#include "base/time.h"

namespace perigee {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return fail(Code::invalid_argument, "{} is odd", n);
  return n / 2;
}

Result<int> quarter(int n) {
  TRY(const int once, half(n));
  TRY_AS(const int twice, half(once), "the second time");
  return twice;
}

TEST_CASE("an error travels out with words in front of it") {
  CHECK(quarter(12).value() == 3);
  CHECK(quarter(3).error().context == "3 is odd");
  CHECK(quarter(6).error().context == "the second time: 3 is odd");
  CHECK(quarter(6).error().code == Code::invalid_argument);
}

TEST_CASE("each code says whose fault it is and whether to retry") {
  CHECK(info(Code::invalid_argument).http_status == 400);
  CHECK(info(Code::internal).exit_code == 1);
  CHECK(Error::make(Code::unavailable, "x").retry == Retry::yes);
  CHECK(Error::make(Code::not_found, "x").fault == Fault::caller);
  CHECK(errno_error(ECONNREFUSED, "dial").context == "dial: Connection refused");
  CHECK(errno_error(ENOSPC, "write").code == Code::resource_exhausted);
}

TEST_CASE("durations parse with and without units") {
  CHECK(parse_duration("500ms").value() == 500ms);
  CHECK(parse_duration("5s").value() == 5s);
  CHECK(parse_duration("1.5m").value() == 90s);
  CHECK(parse_duration("2h").value() == 2h);
  CHECK(parse_duration("90d").value() == 90 * 24h);
  CHECK(parse_duration("7").value() == 7s);
  for (const char* bad : {"", "s", "-1s", "5 s", "5w", "1e99", "nan"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_duration(bad).has_value());
  }
}

TEST_CASE("wall time prints as RFC 3339") {
  CHECK(to_rfc3339(WallTime{0}) == "1970-01-01T00:00:00.000Z");
  CHECK(to_rfc3339(WallTime{1'584'435'600'123'000'000}) == "2020-03-17T09:00:00.123Z");
}

TEST_CASE("text helpers") {
  CHECK(trim(" a b\t\n") == "a b");
  CHECK(trim(" \n").empty());
  CHECK(split("a,,b", ',') == std::vector<std::string_view>{"a", "", "b"});
  CHECK(split_once("a=b=c", '=')->second == "b=c");
  CHECK_FALSE(split_once("abc", '=').has_value());
  CHECK(iequals("Content-Length", "content-LENGTH"));
  CHECK_FALSE(iequals("a", "ab"));
  CHECK(parse_uint("65535", 65535) == 65535);
  for (const char* bad : {"", "-1", "+1", " 1", "1 ", "65536", "0x10", "99999999999999999999"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_uint(bad, 65535).has_value());
  }
}

TEST_CASE("ids of different kinds are different types with the same text") {
  const AppName app("hello");
  CHECK(fmt::format("{}", app) == "hello");
  CHECK(app < AppName("world"));
  CHECK_FALSE(std::is_convertible_v<AppName, MachineId>);
}

}  // namespace
}  // namespace perigee
