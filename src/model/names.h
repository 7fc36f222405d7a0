// AppNames: where an app's running machines are, so that they find each other by name
// (docs/names.md). Node feed, key /names/<app>, for each app with machines on the node.
#pragma once

#include <string>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "json/json.h"

namespace perigee::model {

struct NamedMachine {
  MachineId id;
  RegionCode region;
  std::string address;  // IPv6, private
  bool operator==(const NamedMachine&) const = default;
};

struct AppNames {
  AppName app;
  std::vector<NamedMachine> machines = {};  // by id
  bool operator==(const AppNames&) const = default;
};
json::Value to_json(const AppNames& names);
Result<AppNames> app_names_from(const json::Value& value);

}  // namespace perigee::model
