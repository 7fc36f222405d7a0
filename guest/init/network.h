// The guest's network by netlink, all requests in one write: lo up; eth0's MTU, addresses (any
// prefix length, IPv6 without duplicate detection), up; for each gateway a link-scoped host route
// to it and the default route through it, so that it may lie outside every prefix, and, where its
// hardware address is given, a permanent neighbour. IPv6 is left out in a kernel that has none.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "init/result.h"

namespace perigee::init {

Status configure_network(const std::vector<std::string>& addresses,
                         const std::vector<std::string>& gateways, const std::string& gateway_mac,
                         std::uint32_t mtu);

}  // namespace perigee::init
