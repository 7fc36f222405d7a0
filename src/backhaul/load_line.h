// One machine's load as routers tell it to each other: "<machine> <requests>" (docs/formats/
// backhaul.md). Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace perigee::backhaul {

struct LoadLine {
  std::string machine;
  int others = 0;  // requests at it, those of the router that is told left out
  bool operator==(const LoadLine&) const = default;
};

std::string format_load(const LoadLine& line);  // with its line feed
// Without its line feed; `invalid_argument` for what is none.
Result<LoadLine> parse_load(std::string_view text);

}  // namespace perigee::backhaul
