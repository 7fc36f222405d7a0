// The CLI's own file: where the API is and the token. Written by `perigee up`, mode 0600.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace perigee::config {

struct CliConfig {
  std::string api_url;
  std::string token;
  int http_port = 0;   // where this server's router answers, to print an app's URL; 0: unknown
  int https_port = 0;  // likewise
  bool operator==(const CliConfig&) const = default;
};

Result<CliConfig> parse_cli_config(std::string_view text, std::string_view file);
// A missing file is an empty one.
Result<CliConfig> load_cli_config(const std::string& path);
std::string render_cli_config(const CliConfig& config);

}  // namespace perigee::config
