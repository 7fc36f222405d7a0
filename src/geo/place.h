// A place on the earth, and how far it is to another. Plain values and pure functions; light in
// fibre takes about 1 ms per 200 km, so distance bounds from below what a round trip can take.
//
//   distance_km(find_region("fra")->place, find_region("nrt")->place)   // about 9,370
#pragma once

#include "base/result.h"

namespace perigee::geo {

struct Place {
  double latitude = 0;   // degrees, north positive, -90 to 90
  double longitude = 0;  // degrees, east positive, -180 to 180
  bool operator==(const Place&) const = default;
};

// `invalid_argument` where a coordinate is out of its range, or no number.
Result<void> check_place(const Place& place);

// Along the great circle of a sphere of the earth's mean radius: within 0.6% of the ellipsoid's.
double distance_km(const Place& a, const Place& b);

}  // namespace perigee::geo
