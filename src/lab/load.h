// What a load on an edge came to. Pure; the requests are made by `perigee lab load`.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/time.h"

namespace perigee::lab {

// One request of a load.
struct LoadSample {
  std::string outcome;  // the status, or why there was none
  Duration took{};      // to the end of the body
};

struct LoadSummary {
  int asked = 0;
  std::map<std::string, int> outcomes;  // how many of each
  Duration p50{};                       // of those that were answered by 200
  Duration p90{};
  Duration p99{};
  Duration longest{};
};
LoadSummary summarize_load(const std::vector<LoadSample>& samples);

}  // namespace perigee::lab
