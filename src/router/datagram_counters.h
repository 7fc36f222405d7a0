// What users' datagrams come to, counted: for the router's status.
#pragma once

#include <cstdint>

#include "backhaul/datagram_link.h"

namespace perigee::router {

struct DatagramCounters {
  std::uint64_t from_users = 0;
  std::uint64_t to_users = 0;
  std::uint64_t to_machines = 0;    // of this node
  std::uint64_t from_machines = 0;  // of this node
  std::uint64_t refused = 0;        // came back to go to another machine
  // Dropped: to a port that is no app's, larger than one that crosses, no machine or no way to it,
  // more flows than are kept.
  std::uint64_t no_service = 0;
  std::uint64_t too_large = 0;
  std::uint64_t unplaced = 0;
  std::uint64_t too_many_flows = 0;
  backhaul::DatagramLink::Counters link{};  // between nodes
};

}  // namespace perigee::router
