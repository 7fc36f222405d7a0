// The checks of perigee.toml: [[services.tcp_checks]], [[services.http_checks]],
// [[http_service.checks]] and [checks.NAME], with fly.toml's keys. Private to config.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "config/toml.h"
#include "model/types.h"

namespace perigee::config {

// Each table of the list `key`, as checks of that type.
Result<std::vector<model::Check>> read_checks(Section& service, std::string_view key,
                                              model::CheckType type);

// The table of tables `checks`, in order of name.
Result<std::vector<std::pair<std::string, model::Check>>> read_named_checks(Section& top);

}  // namespace perigee::config
