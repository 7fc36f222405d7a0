// Prefix sockets: what a role gets that serves every port of whole networks: a listener and a UDP
// socket for each family, to which the kernel steers what is sent there (sys/socket_lookup.h), and
// the networks as addresses of this machine (AnyIP).
//
// They travel to the role like its other listeners, named "tcp" and "udp"; the link that steers
// comes last, named "steering": it holds for as long as somebody has it open. So connections wait
// while the role restarts, as on every other listener.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "sys/fd.h"
#include "sys/ip_prefix.h"

namespace perigee::supervisor {

using NamedSocket = std::pair<std::string, sys::Fd>;

// The names, in order, of what open_prefix_sockets() opens.
std::vector<std::string> prefix_socket_names(const std::vector<sys::IpPrefix>& prefixes);
Result<std::vector<NamedSocket>> open_prefix_sockets(const std::vector<sys::IpPrefix>& prefixes);
// Takes the networks' addresses away from this machine.
void forget_prefixes(const std::vector<sys::IpPrefix>& prefixes);

}  // namespace perigee::supervisor
