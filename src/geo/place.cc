#include "geo/place.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace perigee::geo {
namespace {

constexpr double kEarthRadiusKm = 6371.0088;  // mean, of the WGS 84 ellipsoid
constexpr double kMaxLatitude = 90;
constexpr double kMaxLongitude = 180;

double radians(double degrees) {
  return degrees * std::numbers::pi / 180;
}

double squared_sine(double angle) {
  return std::sin(angle) * std::sin(angle);
}

}  // namespace

Result<void> check_place(const Place& place) {
  // Written so that a NaN fails as well.
  if (!(std::abs(place.latitude) <= kMaxLatitude))
    return fail(Code::invalid_argument, "latitude: degrees from -90 to 90, north positive");
  if (!(std::abs(place.longitude) <= kMaxLongitude))
    return fail(Code::invalid_argument, "longitude: degrees from -180 to 180, east positive");
  return {};
}

// The haversine formula: exact to the metre for near places, too, where the cosine rule is not.
double distance_km(const Place& a, const Place& b) {
  const double from = radians(a.latitude);
  const double to = radians(b.latitude);
  const double across = radians(b.longitude - a.longitude);
  const double h =
      squared_sine((to - from) / 2) + std::cos(from) * std::cos(to) * squared_sine(across / 2);
  return 2 * kEarthRadiusKm * std::asin(std::sqrt(std::min(1.0, h)));
}

}  // namespace perigee::geo
