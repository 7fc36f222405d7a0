// derive_route: what a router needs to know about one app, from desired and observed state. Pure;
// publisher.h calls it at every change and feeds the result to the routers.
#pragma once

#include <string>
#include <vector>

#include "control/host_records.h"
#include "control/records.h"
#include "model/types.h"

namespace perigee::control {

struct RouteMachine {
  model::Machine machine;
  const model::MachineStatus* status = nullptr;  // null: not reported yet
  bool node_lost = false;
  bool draining = false;  // about to rest: no new requests, though it runs
  bool leaving = false;   // about to be removed: likewise, and no request brings it back
};

struct RouteInput {
  model::App app;
  const model::Release* current = nullptr;         // the release that serves; null: none yet
  const model::Release* last = nullptr;            // the newest, for the reason
  std::vector<RouteMachine> machines;              // of the app, those to be destroyed left out
  const CertificateRecord* certificate = nullptr;  // of `host`
  std::string host;                                // "hello.localhost"
  std::vector<const HostRecord*> hosts;            // that it has beside that one
};

// Targets are the machines that serve the route's services, are not cordoned, have an address and
// whose node is not lost; routers choose among them by state. The services are those of the current
// release, or of the app's oldest machine that has any where nothing was released.
model::AppRoute derive_route(const RouteInput& input);

}  // namespace perigee::control
