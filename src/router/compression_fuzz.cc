// Any bytes as Accept-Encoding: read without harm, and a refusal of gzip holds whatever follows it.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "router/compression.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perigee;
  const std::string text(reinterpret_cast<const char*>(data), size);
  http::Headers headers;
  headers.add("Accept-Encoding", text);
  std::ignore = router::takes_gzip(headers);
  headers.add("Accept-Encoding", "gzip;q=0, x-gzip;q=0");
  PERIGEE_CHECK(!router::takes_gzip(headers));
  return 0;
}
