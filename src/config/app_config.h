// perigee.toml: an app as its owner describes it, with fly.toml's key names.
//
// Read: app, primary_region, kill_signal, kill_timeout, [build], [env], [http_service],
// [[services]], [checks], [[vm]], [[restart]], [mounts], [egress]. Keys of features still to come
// are refused with file and line; unknown ones warn.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/types.h"

namespace perigee::config {

struct BuildConfig {
  std::string image;       // a registry reference or an archive's path: nothing is built
  std::string dockerfile;  // relative to the file's directory
  std::string target;
  std::string ignore_file;
  model::StringMap args;
  bool operator==(const BuildConfig&) const = default;
};

struct AppConfig {
  AppName app;                // may be empty: -a decides
  RegionCode primary_region;  // may be empty
  BuildConfig build;
  model::MachineConfig machine;               // without its image
  std::optional<model::EgressPolicy> egress;  // where the file has one
  std::vector<std::string> warnings;          // unknown keys, each with file and line
};

class Section;
// [http_service] and [[services]] of a table that describes an app.
Result<std::vector<model::Service>> read_app_services(Section& app);

// `file` is the name used in errors.
Result<AppConfig> parse_app_config(std::string_view text, std::string_view file);
Result<AppConfig> load_app_config(const std::string& path);

// A commented perigee.toml for `perigee launch`.
struct NewApp {
  AppName app;
  RegionCode primary_region;  // empty: left out
  std::string image;          // empty: built from the Dockerfile
  int internal_port = 8080;
  int memory_mib = 256;
};
std::string render_app_config(const NewApp& app);

}  // namespace perigee::config
