// Reports: what the nodes last reported, while it is on its way. The datagram that brings a report
// to control names it: its JSON is not what is looked at here.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/types.h"

namespace perigee::fleet_sim {

class Reports {
 public:
  explicit Reports(int nodes) : newest_(static_cast<std::size_t>(nodes)) {}

  // The datagram's text.
  std::string post(int node, model::NodeReport report);
  // Null: the node has sent a newer one since; this one counts as lost.
  const model::NodeReport* find(std::string_view datagram) const;

 private:
  struct Sent {
    std::uint64_t number = 0;
    model::NodeReport report;
  };
  std::vector<Sent> newest_;
};

}  // namespace perigee::fleet_sim
