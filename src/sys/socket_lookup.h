// Socket look-up: every port of whole networks on a few sockets, by a BPF program of the kind
// sk_lookup (Linux 5.9). The kernel asks it for each new connection and datagram whose destination
// is local before it looks for a socket bound there; established connections never come by.
//
//   TRY(Fd link, steer(prefixes, {.tcp4 = listener.get(), …}));   // for as long as `link` is open
//
// The addresses must be local as well (Netlink::add_local_route). An accepted connection's own
// address is the one that its client spoke to; a datagram's comes with it (sys/datagrams.h).
// The program is written here as instructions: it is a dozen lines, and a compiler for it would be
// one more thing that the build needs.
#pragma once

#include <vector>

#include "base/result.h"
#include "sys/fd.h"
#include "sys/ip_prefix.h"

namespace perigee::sys {

// Open sockets, bound anywhere; -1: what would go there is looked up as usual.
struct SteeredSockets {
  int tcp4 = -1;  // listening
  int tcp6 = -1;
  int udp4 = -1;
  int udp6 = -1;
};

// SAFETY: changes which socket gets what, in this network namespace, for these networks alone.
// Needs CAP_NET_ADMIN and CAP_BPF. `unsupported`: this kernel can't.
Result<Fd> steer(const std::vector<IpPrefix>& prefixes, const SteeredSockets& sockets);
// Whether this kernel, and this process, could.
Result<void> check_steering();

}  // namespace perigee::sys
