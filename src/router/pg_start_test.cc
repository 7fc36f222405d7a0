#include "router/pg_start.h"

#include <doctest/doctest.h>

using namespace std::literals;

namespace perigee::router {
namespace {

TEST_CASE("how a client of PostgreSQL begins is told by its first eight bytes") {
  const std::pair<std::string_view, PgStart> rows[]{
      {"\x00\x00\x00\x08\x04\xd2\x16\x2f"sv, PgStart::tls},
      {"\x00\x00\x00\x08\x04\xd2\x16\x30"sv, PgStart::gss},
      {"\x00\x00\x00\x10\x04\xd2\x16\x2e"sv, PgStart::cancel},
      {"\x00\x00\x00\x54\x00\x03\x00\x00"sv, PgStart::plain},
      {"\x00\x00\x00\x54\x00\x03\x00\x02"sv, PgStart::plain},
      {"\x16\x03\x01"sv, PgStart::direct},
      {""sv, PgStart::more},
      {"\x00\x00\x00\x08\x04\xd2\x16"sv, PgStart::more},
      {"\x00\x00\x00\x09\x04\xd2\x16\x2f"sv, PgStart::malformed},
      {"\x00\x00\x00\x08\x04\xd2\x16\x2e"sv, PgStart::malformed},
      {"\x00\x00\x00\x08\x00\x03\x00\x00"sv, PgStart::malformed},
      {"\x00\x00\x00\x54\x00\x02\x00\x00"sv, PgStart::malformed},
      {"GET / HT"sv, PgStart::malformed}};
  for (const auto& [bytes, start] : rows) {
    CAPTURE(bytes);
    CHECK(pg_start(bytes) == start);
  }
}

TEST_CASE("a refusal is an ErrorResponse with its own length") {
  const std::string text = pg_refusal("no");
  CHECK(text == "E\x00\x00\x00\x1eSFATAL\0VFATAL\0C28000\0Mno\0\0"s);
}

}  // namespace
}  // namespace perigee::router
