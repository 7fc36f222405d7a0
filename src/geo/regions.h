// The regions that have a name everywhere: three letters, as fly.io uses them, which are those of
// an airport near the city; the place is the airport's. Constant data, sorted by code.
//
// A fleet may have regions of its own beside them: their nodes say where they are.
#pragma once

#include <span>
#include <string_view>

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

}  // namespace perigee::geo
