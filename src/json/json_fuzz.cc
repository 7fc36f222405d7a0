// Any bytes: parsing ends with a value or an error, and a value survives a round trip.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "json/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto value =
      perigee::json::parse(std::string_view(reinterpret_cast<const char*>(data), size));
  if (value) PERIGEE_CHECK(perigee::json::parse(value->dump()).has_value());
  return 0;
}
