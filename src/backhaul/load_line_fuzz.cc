// Any bytes as a line of loads: refused, or a line that reads back the same.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "backhaul/load_line.h"
#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perigee::backhaul;
  const auto line = parse_load({reinterpret_cast<const char*>(data), size});
  if (!line) return 0;
  PERIGEE_CHECK(line->others >= 0);
  const std::string text = format_load(*line);
  const auto back = parse_load(std::string_view(text).substr(0, text.size() - 1));
  PERIGEE_CHECK(back.has_value());
  PERIGEE_CHECK(*back == *line);
  return 0;
}
