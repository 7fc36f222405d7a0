// The regions that have a name everywhere: three letters, as fly.io uses them, which are those of
// an airport near the city; the place is the airport's. Constant data, sorted by code.
//
// A fleet may have regions of its own beside them: their nodes say where they are.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "geo/place.h"

namespace perigee::geo {

struct Region {
  std::string_view code;
  std::string_view city;
  Place place;
};

std::span<const Region> well_known_regions();
// Null: not a code that is known everywhere.
const Region* find_region(std::string_view code);
// Those of a part of the world: "apac", "eu", "na", "sa", "us" or "usa"; empty: no such name.
std::vector<std::string_view> regions_of(std::string_view part);

}  // namespace perigee::geo
