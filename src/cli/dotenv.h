// NAME=VALUE texts: the arguments of `secrets set` and the lines of `secrets import`. Pure; errors
// name the line and never what it holds.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace perigee::cli {

using Assignment = std::pair<std::string, std::string>;

// A .env file: blank lines and lines that begin with # are skipped, a leading "export " is dropped,
// quotes around a whole value as well. Nothing is expanded.
Result<std::vector<Assignment>> parse_dotenv(std::string_view text);

// One "NAME=VALUE"; the value is taken as it is.
Result<Assignment> parse_assignment(std::string_view text, std::string_view where);

}  // namespace perigee::cli
