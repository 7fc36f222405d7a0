// Any text as a router.toml: a configuration or an error that names the file.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "config/router_config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = perigee::config::parse_router_config(text, "router.toml");
  if (!config) PERIGEE_CHECK(config.error().context.starts_with("router.toml"));
  return 0;
}
