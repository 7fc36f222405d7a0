// Any JSON as a machine's configuration: an error, or a configuration that survives a round trip.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "model/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perigee;
  const auto value = json::parse(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!value) return 0;
  const auto config = model::machine_config_from(*value);
  if (!config) return 0;
  const auto again = model::machine_config_from(model::to_json(*config));
  PERIGEE_CHECK(again.has_value());
  return 0;
}
