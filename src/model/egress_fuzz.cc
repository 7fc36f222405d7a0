// Any text: refused, or a rule that reads back the same and that a firewall may be given.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "model/egress.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perigee::model;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto rule = parse_egress_rule(text);
  if (!rule) return 0;
  PERIGEE_CHECK(rule->network.find_first_not_of("0123456789abcdefABCDEF.:/") == std::string::npos);
  const auto back = parse_egress_rule(to_text(*rule));
  PERIGEE_CHECK(back.has_value());
  PERIGEE_CHECK(*back == *rule);
  return 0;
}
