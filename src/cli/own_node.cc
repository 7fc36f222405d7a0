#include "cli/own_node.h"

#include <fstream>

#include "base/text.h"

namespace perigee::cli {

config::CliConfig own_api(const config::Paths& paths, const config::NodeConfig& node) {
  std::ifstream token_file(paths.token());
  const std::string token{std::istreambuf_iterator<char>(token_file), {}};
  config::CliConfig api;
  api.api_url = "http://" + (node.api_listen.empty() ? "127.0.0.1:4280" : node.api_listen.front());
  api.token = trim(token);
  return api;
}

config::CliConfig own_api(const config::Paths& paths) {
  const auto node = config::load_node_config(paths.config_file);
  if (!node || !node->runs("control")) return {};
  config::CliConfig api = own_api(paths, *node);
  return api.token.empty() ? config::CliConfig() : api;
}

}  // namespace perigee::cli
