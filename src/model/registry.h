// RegistryLogin: what a registry is shown when somebody pulls from it; one per registry, for all
// apps. Control writes it (store key /registries/<registry>), every node follows it. A plain value;
// its JSON as the store and the feed hold it, and as the public API shows it.
#pragma once

#include <string>

#include "base/result.h"
#include "base/time.h"
#include "json/json.h"

namespace perigee::model {

struct RegistryLogin {
  std::string registry;  // "ghcr.io", "127.0.0.1:5000", "docker.io": as image references name it
  std::string username;
  std::string sealed_password;  // docs/formats/sealed.md; never shown
  std::string digest;           // shown instead
  WallTime created_at;
  WallTime updated_at;
  bool operator==(const RegistryLogin&) const = default;
};

json::Value to_json(const RegistryLogin& login);
Result<RegistryLogin> registry_login_from(const json::Value& value);
json::Value public_registry_login(const RegistryLogin& login);

}  // namespace perigee::model
