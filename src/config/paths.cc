#include "config/paths.h"

#include <fmt/format.h>

#include <cstdlib>

namespace perigee::config {

std::string Paths::socket(std::string_view role) const {
  return fmt::format("{}/{}.sock", run, role);
}

std::string Paths::key_ring() const {
  return root + "/etc/perigee/keys.json";
}

std::string Paths::node_ring() const {
  return root + "/etc/perigee/node-keys.json";
}

std::string Paths::role_log(std::string_view role) const {
  return fmt::format("{}/{}.log", log, role);
}

Paths paths_under(std::string_view root, std::string_view home) {
  const std::string base(root);
  return Paths{.root = base,
               .config_file = base + "/etc/perigee/perigeed.toml",
               .state = base + "/var/lib/perigee",
               .run = base + "/run/perigee",
               .log = base + "/var/log/perigee",
               .cli_file = base.empty() ? std::string(home) + "/.config/perigee/config.toml"
                                        : base + "/config.toml"};
}

Paths paths_from_environment() {
  const char* root = std::getenv("PERIGEE_ROOT");
  const char* home = std::getenv("HOME");
  std::string_view base = root == nullptr ? "" : root;
  while (base.ends_with('/')) base.remove_suffix(1);
  return paths_under(base, home == nullptr ? "/root" : home);
}

}  // namespace perigee::config
