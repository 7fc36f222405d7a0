// What IP knows of the mesh's interface: up, MTU, the node's one address, and one route: the whole
// fleet's network. Packets for a node that is not a peer so end here, and are never sent in the
// clear by a default route. What else stands on the interface is taken away.
#pragma once

#include <string>

#include "base/result.h"
#include "mesh/prefix.h"

namespace perigee::mesh {

struct InterfaceConfig {
  std::string name;
  int mtu = 0;
  std::string address;  // "fd12:3456:789a::5"
  Prefix route;
};

// Idempotent, through rtnetlink, for the network namespace of this thread; changes only what
// differs. SAFETY: needs CAP_NET_ADMIN.
Result<void> configure_interface(const InterfaceConfig& config);

}  // namespace perigee::mesh
