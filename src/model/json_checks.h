// JSON of checks and their results, for the files that hold them. Private to model.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "json/json.h"
#include "model/types.h"

namespace perigee::model {

json::Value to_json(const Check& check);
Result<Check> check_from(const json::Value& value);

// The object of a machine's own checks, by name.
using NamedChecks = std::vector<std::pair<std::string, Check>>;
json::Value to_json(const NamedChecks& checks);
Result<NamedChecks> named_checks_from(const json::Value& config);

// A report's form; the public one has its time as text.
json::Value to_json(const CheckStatus& status);
json::Value public_check(const CheckStatus& status);
Result<CheckStatus> check_status_from(const json::Value& value);

// Names, ports, paths and headers: nothing that could not be sent or shown.
Result<void> validate_checks(const MachineConfig& config);

}  // namespace perigee::model
