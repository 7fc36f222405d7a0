#include "fleet_sim/reports.h"

#include <limits>

#include "base/check.h"
#include "base/text.h"

namespace perigee::fleet_sim {

std::string Reports::post(int node, model::NodeReport report) {
  Sent& sent = newest_.at(static_cast<std::size_t>(node));
  sent.report = std::move(report);
  return fmt::format("{} {}", node, ++sent.number);
}

const model::NodeReport* Reports::find(std::string_view datagram) const {
  const auto words = split_once(datagram, ' ');
  PERIGEE_CHECK(words.has_value());
  const auto node = parse_uint(words->first, newest_.size());
  const auto number = parse_uint(words->second, std::numeric_limits<std::int64_t>::max());
  PERIGEE_CHECK(node && number);
  const Sent& sent = newest_.at(*node);
  return sent.number == *number ? &sent.report : nullptr;
}

}  // namespace perigee::fleet_sim
