// What the command line says to the commands below `perigee store`.
#pragma once

#include <string>

namespace perigee::cli {

struct StoreOptions {
  std::string file;    // backup, restore
  bool force = false;  // restore, migrate: replace what is there
  std::string to;      // migrate: the engine
};

}  // namespace perigee::cli
