// Address pool: which address of the operator's networks an app gets next. Pure.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "sys/ip_prefix.h"

namespace perigee::control {

enum class IpVersion { v4, v6 };

// The first that is free, network by network. A network of several addresses keeps its first one
// to itself, and of IPv4 its last: what stands there where a network is a wire. An error says what
// is to be done where there is none.
Result<std::string> free_address(const std::vector<sys::IpPrefix>& prefixes, IpVersion version,
                                 const std::set<std::string>& taken);

}  // namespace perigee::control
