#include "config/http_options.h"

namespace perigee::config {

Result<model::HttpOptions> read_http_options(Section& holder) {
  model::HttpOptions options;
  TRY(auto section, holder.section("http_options"));
  if (!section) return options;
  TRY_VOID(section->refuse(
      {"compress", "idle_timeout", "headers_read_timeout", "response", "replay_cache"}));
  TRY(const auto h2_backend, section->boolean("h2_backend"));
  options.h2_backend = h2_backend.value_or(false);
  section->warn_unknown();
  return options;
}

}  // namespace perigee::config
