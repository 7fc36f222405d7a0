// The table of regions and the distances between them, against published great-circle distances.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <string>

#include "geo/regions.h"

namespace perigee::geo {
namespace {

double between(std::string_view a, std::string_view b) {
  return distance_km(find_region(a)->place, find_region(b)->place);
}

TEST_CASE("each region has a code of three letters, a city and a place on the earth") {
  for (const Region& region : well_known_regions()) {
    CAPTURE(std::string(region.code));
    CHECK(region.code.size() == 3);
    CHECK(!region.city.empty());
    CHECK(check_place(region.place).has_value());
    CHECK(find_region(region.code) == &region);
  }
}

TEST_CASE("parts of the world have the regions that lie in them") {
  const auto in = [](std::string_view part, std::string_view code) {
    return std::ranges::count(regions_of(part), code) == 1;
  };
  CHECK(in("eu", "fra"));
  CHECK(in("eu", "lhr"));
  CHECK_FALSE(in("eu", "jnb"));
  CHECK(in("apac", "bom"));
  CHECK(in("apac", "syd"));
  CHECK(in("na", "yyz"));
  CHECK(in("na", "qro"));
  CHECK(in("sa", "bog"));
  CHECK(in("us", "sea"));
  CHECK_FALSE(in("us", "yul"));
  CHECK(regions_of("us") == regions_of("usa"));
  CHECK(regions_of("mars").empty());
}

TEST_CASE("the seventeen cities of 2020 are there") {
  for (const char* code : {"ams", "atl", "dfw", "ewr", "fra", "hkg", "iad", "lax", "lhr", "mrs",
                           "nrt", "ord", "sea", "sin", "sjc", "syd", "yyz"}) {
    CAPTURE(code);
    CHECK(find_region(code) != nullptr);
  }
}

TEST_CASE("an unknown code is not found") {
  for (const char* code : {"", "zzz", "aaa", "fr", "frax", "FRA"}) {
    CAPTURE(code);
    CHECK(find_region(code) == nullptr);
  }
}

TEST_CASE("distances are those between the airports") {
  CHECK(between("ams", "fra") == doctest::Approx(366).epsilon(0.01));
  CHECK(between("iad", "syd") == doctest::Approx(15'700).epsilon(0.01));
  CHECK(between("lhr", "nrt") == doctest::Approx(9'590).epsilon(0.01));
  CHECK(between("ewr", "iad") == doctest::Approx(342).epsilon(0.01));
  CHECK(between("sjc", "lax") == doctest::Approx(496).epsilon(0.01));
}

TEST_CASE("a distance is the same both ways, nothing to itself, and half round at most") {
  for (const Region& a : well_known_regions()) {
    CHECK(distance_km(a.place, a.place) == 0);
    for (const Region& b : well_known_regions())
      CHECK(distance_km(a.place, b.place) == doctest::Approx(distance_km(b.place, a.place)));
  }
  CHECK(distance_km({0, 0}, {0, 180}) == doctest::Approx(20'015.1));
  CHECK(distance_km({90, 0}, {-90, 77}) == doctest::Approx(20'015.1));
  CHECK(distance_km({0, 179.5}, {0, -179.5}) == doctest::Approx(111.2).epsilon(0.001));
}

TEST_CASE("a place that is not on the earth is refused") {
  CHECK(check_place({-90, 180}).has_value());
  CHECK(check_place({90.1, 0}).error().context.starts_with("latitude"));
  CHECK(check_place({0, -180.5}).error().context.starts_with("longitude"));
  CHECK_FALSE(check_place({std::numeric_limits<double>::quiet_NaN(), 0}).has_value());
  CHECK_FALSE(check_place({0, std::numeric_limits<double>::infinity()}).has_value());
}

}  // namespace
}  // namespace perigee::geo
