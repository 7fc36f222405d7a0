// What the command line says to the commands below `perigee regions`, `scale` and `nodes`.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace perigee::cli {

struct FleetOptions {
  std::vector<std::string> regions;   // regions set, add, remove
  std::string count;                  // scale count: a number, or "auto"
  std::optional<int> max_per_region;  // scale count
  std::string node;                   // nodes …
  bool stop = false;                  // nodes drain
  bool force = false;                 // nodes remove
};

}  // namespace perigee::cli
