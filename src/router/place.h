// Where on this node what another router hands over is to go, or why it can't. By the newest table.
#pragma once

#include <expected>
#include <string>

#include "backhaul/hop.h"
#include "router/state.h"
#include "router/upstreams.h"
#include "sys/address.h"

namespace perigee::router {

struct Place {
  std::string machine;
  sys::Address address;
  std::string from;  // the user's router's node
  int hard_limit = 0;
  Backend backend = Backend::http1;
};
using FoundPlace = std::expected<Place, backhaul::Refusal>;

FoundPlace find_place(const State& state, const std::string& node, const backhaul::Hop& hop);
// The same, where the machine may have one more.
FoundPlace find_room(const State& state, const std::string& node, const backhaul::Hop& hop);

}  // namespace perigee::router
