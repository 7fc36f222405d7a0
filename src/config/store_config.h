// StoreConfig: [store] of perigeed.toml: where control keeps its state.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace perigee::config {

class Section;

struct StoreConfig {
  enum class Engine { sqlite, etcd } engine = Engine::sqlite;
  // Of etcd:
  std::vector<std::string> endpoints;  // "https://10.0.0.1:2379"; the nearest first
  std::string ca_file;                 // ca: PEM; empty: the system's roots
  std::string certificate_file;        // certificate, key: PEM, what etcd is shown; both or none
  std::string key_file;
  std::string user;
  std::string password_file;
  std::string prefix = "/perigee";
  bool operator==(const StoreConfig&) const = default;
};

Result<StoreConfig> read_store_config(Section& top);

}  // namespace perigee::config
