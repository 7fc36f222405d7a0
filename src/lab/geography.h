// Where the lab's cities are, and how long a round trip between them takes by one documented rule.
// Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "geo/place.h"

namespace perigee::lab {

struct City {
  std::string code;  // three letters: "iad"
  geo::Place place;
  bool operator==(const City&) const = default;
};

// What every figure of the lab rests on, in words; printed with the figures.
inline constexpr std::string_view kRoundTripRule =
    "between cities great-circle km x 2 / 200 x 1.5 + 2 ms, on the last mile 10 ms";

// Between two cities' nodes; none within a city.
Duration round_trip(const geo::Place& a, const geo::Place& b);
// Between a user and the edge of the city.
inline constexpr Duration kLastMileRoundTrip = 10ms;

// The cities of a lab, in the order given; the first is where control runs. `text` is
//   a number    that many of the lab's 17: iad first, then far apart from each other
//   a list      codes of well-known regions: "iad,fra,syd"
Result<std::vector<City>> parse_cities(std::string_view text);
// One city a line: a code of a well-known region, or "code latitude longitude" of any place; empty
// lines and what stands behind # are left out.
Result<std::vector<City>> parse_city_file(std::string_view text);

// "fra" or "fra-syd".
struct Cut {
  std::string a;
  std::string b;  // empty: all of a's paths
  bool operator==(const Cut&) const = default;
};
Result<Cut> parse_cut(std::string_view text);

}  // namespace perigee::lab
