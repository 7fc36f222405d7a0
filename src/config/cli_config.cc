#include "config/cli_config.h"

#include <fstream>
#include <iterator>

#include "config/toml.h"

namespace perigee::config {
namespace {

constexpr std::int64_t kMaxPort = 65535;

}  // namespace

Result<CliConfig> parse_cli_config(std::string_view text, std::string_view file) {
  TRY(const TomlValue document, parse_toml(text, file));
  Reading reading{.file = std::string(file), .warnings = {}};
  Section top(reading, document, "");
  TRY(const auto url, top.string("api_url"));
  TRY(const auto token, top.string("token"));
  TRY(const auto http, top.integer("http_port", 0, kMaxPort));
  TRY(const auto https, top.integer("https_port", 0, kMaxPort));
  return CliConfig{.api_url = url.value_or(""),
                   .token = token.value_or(""),
                   .http_port = static_cast<int>(http.value_or(0)),
                   .https_port = static_cast<int>(https.value_or(0))};
}

Result<CliConfig> load_cli_config(const std::string& path) {
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return parse_cli_config(text, path);
}

std::string render_cli_config(const CliConfig& config) {
  return fmt::format(
      "# Written by `perigee up`.\napi_url = {}\ntoken = {}\nhttp_port = {}\nhttps_port = {}\n",
      toml_quoted(config.api_url), toml_quoted(config.token), config.http_port, config.https_port);
}

}  // namespace perigee::config
