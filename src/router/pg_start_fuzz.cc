// Any bytes as the start of a PostgreSQL connection: what was decided stays as more bytes come.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "router/pg_start.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perigee::router;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const PgStart whole = pg_start(bytes);
  PERIGEE_CHECK(whole != PgStart::more || size < kPgStartBytes);
  for (std::size_t cut = 0; cut < size; ++cut) {
    const PgStart part = pg_start(bytes.substr(0, cut));
    PERIGEE_CHECK(part == PgStart::more || part == whole);
  }
  return 0;
}
