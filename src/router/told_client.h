// Who a client is where a load balancer in front of the router says so: connections from the
// networks that the node's configuration lists begin with a PROXY header of version 1 or 2
// ([router] proxy_from). From there one without such a header is not served: it would be taken for
// the balancer's own. All others are taken as they are, whatever they begin with.
#pragma once

#include <memory>
#include <vector>

#include "router/tcp_counters.h"
#include "sys/host.h"
#include "sys/ip_prefix.h"

namespace perigee::router {

// The connection as its client's; null: it has ended.
async::Task<std::unique_ptr<sys::Stream>> as_told(sys::Host& host, TcpCounters& counters,
                                                  const std::vector<sys::IpPrefix>& tellers,
                                                  std::unique_ptr<sys::Stream> stream);

}  // namespace perigee::router
