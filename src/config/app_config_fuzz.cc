// Any text as a perigee.toml: a configuration or an error that names the file.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "config/app_config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = perigee::config::parse_app_config(text, "perigee.toml");
  if (!config) PERIGEE_CHECK(config.error().context.starts_with("perigee.toml"));
  return 0;
}
