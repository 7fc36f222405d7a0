#include "lab/geography.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"
#include "geo/regions.h"
#include "lab/limits.h"

namespace perigee::lab {
namespace {

constexpr double kKmPerMs = 200;  // light in fibre
constexpr double kDetour = 1.5;   // cables don't follow great circles
constexpr double kEquipmentMs = 2;
constexpr double kNanosecondsPerMs = 1e6;
constexpr std::size_t kCodeLength = 3;

// Those of `perigee lab up` in the order in which fewer are taken: first across the oceans.
constexpr auto kCities =
    std::to_array<std::string_view>({"iad", "fra", "syd", "nrt", "ewr", "ord", "lhr", "sin", "sjc",
                                     "ams", "hkg", "lax", "dfw", "mrs", "sea", "atl", "yyz"});

bool is_code(std::string_view text) {
  return text.size() == kCodeLength &&
         std::ranges::all_of(text, [](char c) { return c >= 'a' && c <= 'z'; });
}

Result<City> known_city(std::string_view code) {
  const geo::Region* region = geo::find_region(code);
  if (region == nullptr) {
    return fail(Code::invalid_argument,
                "city '{}': not a well-known region; a file may place others (--cities FILE with "
                "lines \"code latitude longitude\")",
                code);
  }
  return City{.code = std::string(code), .place = region->place};
}

Result<double> parse_degrees(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return fail(Code::invalid_argument, "'{}' is not a number of degrees", text);
  }
  return value;
}

Result<City> placed_city(const std::vector<std::string_view>& words) {
  if (words.size() != 3 || !is_code(words[0])) {
    return fail(Code::invalid_argument, "expected \"code\" or \"code latitude longitude\"");
  }
  City city{.code = std::string(words[0]), .place = {}};
  TRY(city.place.latitude, parse_degrees(words[1]));
  TRY(city.place.longitude, parse_degrees(words[2]));
  TRY_VOID(geo::check_place(city.place));
  return city;
}

Result<City> parse_city_line(std::string_view line) {
  std::vector<std::string_view> words = split(line, ' ');
  std::erase(words, "");
  return words.size() == 1 ? known_city(words[0]) : placed_city(words);
}

Result<std::vector<City>> checked(std::vector<City> cities) {
  if (cities.empty() || cities.size() > kMaxCities) {
    return fail(Code::invalid_argument, "a lab has 1 to {} cities, not {}", kMaxCities,
                cities.size());
  }
  for (std::size_t i = 0; i < cities.size(); ++i) {
    if (std::ranges::count(cities, cities[i].code, &City::code) > 1) {
      return fail(Code::invalid_argument, "city '{}' is named twice", cities[i].code);
    }
  }
  return cities;
}

}  // namespace

Duration round_trip(const geo::Place& a, const geo::Place& b) {
  const double ms = geo::distance_km(a, b) * 2 / kKmPerMs * kDetour + kEquipmentMs;
  return Duration(static_cast<std::int64_t>(ms * kNanosecondsPerMs));
}

Result<std::vector<City>> parse_cities(std::string_view text) {
  std::vector<City> cities;
  if (!text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos) {
    const auto count = parse_uint(text, kCities.size());
    if (!count || *count == 0) {
      return fail(Code::invalid_argument,
                  "{} cities: 1 to {} have a place of their own in the "
                  "lab; name more in a list or a file",
                  text, kCities.size());
    }
    for (std::size_t i = 0; i < *count; ++i) {
      TRY(City city, known_city(kCities[i]));
      cities.push_back(std::move(city));
    }
    return cities;
  }
  for (const std::string_view code : split(text, ',')) {
    TRY(City city, known_city(trim(code)));
    cities.push_back(std::move(city));
  }
  return checked(std::move(cities));
}

Result<std::vector<City>> parse_city_file(std::string_view text) {
  std::vector<City> cities;
  int number = 0;
  for (const std::string_view whole : split(text, '\n')) {
    ++number;
    const std::string_view line = trim(whole.substr(0, whole.find('#')));
    if (line.empty()) continue;
    TRY_AS(City city, parse_city_line(line), fmt::format("line {}", number));
    cities.push_back(std::move(city));
  }
  return checked(std::move(cities));
}

Result<Cut> parse_cut(std::string_view text) {
  const auto both = split_once(text, '-');
  Cut cut{.a = std::string(both ? both->first : text),
          .b = std::string(both ? both->second : std::string_view())};
  if (!is_code(cut.a) || (both && !is_code(cut.b)) || cut.a == cut.b) {
    return fail(Code::invalid_argument, "'{}': expected a city such as fra, or two such as fra-syd",
                text);
  }
  return cut;
}

}  // namespace perigee::lab
