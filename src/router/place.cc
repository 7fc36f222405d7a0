#include "router/place.h"

#include <algorithm>

namespace perigee::router {
namespace {

using backhaul::Refusal;

const model::Service* service_at(const model::AppRoute& route, int port) {
  const auto found = std::ranges::find(route.services, port, &model::Service::internal_port);
  return found == route.services.end() ? nullptr : &*found;
}

}  // namespace

FoundPlace find_place(const State& state, const std::string& node, const backhaul::Hop& hop) {
  const routing::RoutePtr route = state.table->find_app(hop.app);
  if (route == nullptr) return std::unexpected(Refusal::gone);
  const auto target = std::ranges::find_if(route->targets, [&](const model::RouteTarget& each) {
    return each.machine.str() == hop.machine && each.node.str() == node;
  });
  const model::Service* service = service_at(*route, hop.port);
  if (target == route->targets.end() || service == nullptr) return std::unexpected(Refusal::gone);
  if (target->state != model::MachineState::started || target->wakeable) {
    return std::unexpected(Refusal::not_started);
  }
  const auto address = sys::Address::ip(target->address, static_cast<std::uint16_t>(hop.port));
  if (!address) return std::unexpected(Refusal::not_started);
  return Place{.machine = hop.machine,
               .address = *address,
               .from = hop.from,
               .hard_limit = service->concurrency.hard_limit,
               .backend = backend_of(*service)};
}

FoundPlace find_room(const State& state, const std::string& node, const backhaul::Hop& hop) {
  FoundPlace place = find_place(state, node, hop);
  const bool full =
      place && place->hard_limit > 0 && state.loads.of(place->machine) >= place->hard_limit;
  if (full) return std::unexpected(Refusal::at_limit);
  return place;
}

}  // namespace perigee::router
