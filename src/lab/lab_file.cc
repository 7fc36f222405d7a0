#include "lab/lab_file.h"

#include <algorithm>

#include "json/json.h"
#include "lab/limits.h"

namespace perigee::lab {
namespace {

constexpr std::int64_t kVersion = 1;

Result<double> require_degrees(const json::Value& city, std::string_view key) {
  const json::Value* member = city.find(key);
  const auto value = member == nullptr ? std::nullopt : member->number();
  if (!value) return fail(Code::data_loss, "{}: expected a number", key);
  return *value;
}

Result<City> decode_city(const json::Value& value) {
  City city;
  TRY(city.code, value.require_string("code"));
  TRY(city.place.latitude, require_degrees(value, "latitude"));
  TRY(city.place.longitude, require_degrees(value, "longitude"));
  TRY_VOID(geo::check_place(city.place));
  if (!std::ranges::all_of(city.code, [](char c) { return c >= 'a' && c <= 'z'; })) {
    return fail(Code::data_loss, "'{}' is not a city's code", city.code);
  }
  return city;
}

}  // namespace

std::string encode(const LabFile& lab) {
  json::Value cities = json::array();
  for (const City& city : lab.cities) {
    cities.push(json::object({{"code", city.code},
                              {"latitude", city.place.latitude},
                              {"longitude", city.place.longitude}}));
  }
  return json::object({{"version", kVersion},
                       {"seed", lab.seed},
                       {"cities", std::move(cities)},
                       {"control", json::strings(lab.control.cities)},
                       {"etcd", lab.control.etcd}})
             .dump_pretty() +
         "\n";
}

Result<LabFile> decode_lab_file(std::string_view text) {
  TRY(const json::Value value, json::parse(text));
  TRY(const std::int64_t version, value.require_int("version"));
  if (version != kVersion) {
    return fail(Code::unsupported, "version {} of a lab, not {}", version, kVersion);
  }
  LabFile lab;
  TRY(const std::int64_t seed, value.require_int("seed"));
  lab.seed = static_cast<std::uint64_t>(seed);
  const json::Value* cities = value.find("cities");
  if (cities == nullptr || cities->items().empty() || cities->items().size() > kMaxCities) {
    return fail(Code::data_loss, "cities: expected a list of 1 to {}", kMaxCities);
  }
  for (const json::Value& each : cities->items()) {
    TRY(City city, decode_city(each));
    lab.cities.push_back(std::move(city));
  }
  TRY(lab.control.cities, value.optional_strings("control"));
  TRY(lab.control.etcd, value.optional_string("etcd"));
  for (const std::string& code : lab.control.cities) {
    if (std::ranges::count(lab.cities, code, &City::code) == 0)
      return fail(Code::data_loss, "control: '{}' is not among the cities", code);
  }
  return lab;
}

}  // namespace perigee::lab
