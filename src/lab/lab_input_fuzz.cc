// What a lab reads: its file, its cities in either form, requests to the emulator.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "lab/lab_file.h"
#include "lab/limits.h"
#include "lab/wan_control.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perigee::lab;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto lab = decode_lab_file(text)) {
    PERIGEE_CHECK(lab->cities.size() <= kMaxCities);
    PERIGEE_CHECK(decode_lab_file(encode(*lab)) == *lab);
  }
  if (const auto request = decode_wan_request(text)) {
    PERIGEE_CHECK(decode_wan_request(encode(*request)) == *request);
  }
  if (const auto cities = parse_city_file(text)) PERIGEE_CHECK(cities->size() <= kMaxCities);
  if (const auto cities = parse_cities(text)) PERIGEE_CHECK(cities->size() <= kMaxCities);
  if (const auto cut = parse_cut(text)) PERIGEE_CHECK(!cut->a.empty());
  return 0;
}
