#include "geo/regions.h"

#include <algorithm>
#include <array>

namespace perigee::geo {
namespace {

constexpr auto kRegions = std::to_array<Region>({
    {"ams", "Amsterdam, Netherlands", {52.309, 4.764}},
    {"arn", "Stockholm, Sweden", {59.652, 17.919}},
    {"atl", "Atlanta, Georgia (US)", {33.637, -84.428}},
    {"bog", "Bogotá, Colombia", {4.702, -74.147}},
    {"bom", "Mumbai, India", {19.089, 72.868}},
    {"bos", "Boston, Massachusetts (US)", {42.364, -71.005}},
    {"cdg", "Paris, France", {49.013, 2.550}},
    {"den", "Denver, Colorado (US)", {39.862, -104.673}},
    {"dfw", "Dallas, Texas (US)", {32.897, -97.038}},
    {"ewr", "Newark, New Jersey (US)", {40.693, -74.169}},
    {"eze", "Buenos Aires, Argentina", {-34.822, -58.536}},
    {"fra", "Frankfurt, Germany", {50.033, 8.571}},
    {"gdl", "Guadalajara, Mexico", {20.522, -103.311}},
    {"gig", "Rio de Janeiro, Brazil", {-22.809, -43.250}},
    {"gru", "São Paulo, Brazil", {-23.436, -46.473}},
    {"hkg", "Hong Kong", {22.308, 113.915}},
    {"iad", "Ashburn, Virginia (US)", {38.945, -77.456}},
    {"jnb", "Johannesburg, South Africa", {-26.139, 28.246}},
    {"lax", "Los Angeles, California (US)", {33.943, -118.408}},
    {"lhr", "London, United Kingdom", {51.471, -0.462}},
    {"maa", "Chennai, India", {12.990, 80.169}},
    {"mad", "Madrid, Spain", {40.472, -3.563}},
    {"mia", "Miami, Florida (US)", {25.793, -80.291}},
    {"mrs", "Marseille, France", {43.436, 5.215}},
    {"nrt", "Tokyo, Japan", {35.765, 140.386}},
    {"ord", "Chicago, Illinois (US)", {41.979, -87.905}},
    {"otp", "Bucharest, Romania", {44.572, 26.102}},
    {"phx", "Phoenix, Arizona (US)", {33.434, -112.012}},
    {"qro", "Querétaro, Mexico", {20.617, -100.186}},
    {"scl", "Santiago, Chile", {-33.393, -70.786}},
    {"sea", "Seattle, Washington (US)", {47.449, -122.309}},
    {"sin", "Singapore", {1.350, 103.994}},
    {"sjc", "San Jose, California (US)", {37.363, -121.929}},
    {"syd", "Sydney, Australia", {-33.946, 151.177}},
    {"waw", "Warsaw, Poland", {52.166, 20.967}},
    {"yul", "Montreal, Canada", {45.470, -73.741}},
    {"yyz", "Toronto, Canada", {43.677, -79.631}},
});
static_assert(std::ranges::is_sorted(kRegions, {}, &Region::code));

// Lines that no region is near: the Atlantic, the Urals and the Gulf, the Mediterranean, Panama.
bool lies_in(const Region& region, std::string_view part) {
  const bool americas = region.place.longitude < -30;
  const bool east = region.place.longitude > 60;
  if (part == "apac") return east;
  if (part == "eu") return !americas && !east && region.place.latitude > 35;
  if (part == "na") return americas && region.place.latitude > 12;
  if (part == "sa") return americas && region.place.latitude <= 12;
  return (part == "us" || part == "usa") && region.city.ends_with("(US)");
}

}  // namespace

std::span<const Region> well_known_regions() {
  return kRegions;
}

const Region* find_region(std::string_view code) {
  const auto found = std::ranges::lower_bound(kRegions, code, {}, &Region::code);
  return found != kRegions.end() && found->code == code ? &*found : nullptr;
}

std::vector<std::string_view> regions_of(std::string_view part) {
  std::vector<std::string_view> codes;
  for (const Region& region : kRegions) {
    if (lies_in(region, part)) codes.push_back(region.code);
  }
  return codes;
}

}  // namespace perigee::geo
