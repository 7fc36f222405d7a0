// The guest's network by netlink, all requests in one write: lo up; eth0's MTU, addresses (any
// prefix length, IPv6 without duplicate detection), up; for each gateway a link-scoped host route
// to it and the default route through it, so that it may lie outside every prefix.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "init/result.h"

namespace perigee::init {

Status configure_network(const std::vector<std::string>& addresses,
                         const std::vector<std::string>& gateways, std::uint32_t mtu);

}  // namespace perigee::init
