#include "supervisor/prefix_sockets.h"

#include <algorithm>

#include "base/log.h"
#include "sys/netlink.h"
#include "sys/posix_host.h"
#include "sys/socket_lookup.h"

namespace perigee::supervisor {
namespace {

constexpr int kBacklog = 4096;

bool any_of_family(const std::vector<sys::IpPrefix>& prefixes, bool ipv6) {
  return std::ranges::count(prefixes, ipv6, &sys::IpPrefix::is_ipv6) > 0;
}

// Bound where nobody is sent to: what comes is steered there.
Result<sys::Address> anywhere(bool ipv6) {
  return sys::Address::ip(ipv6 ? "::1" : "127.0.0.1", 0);
}

Result<void> add_local_routes(const std::vector<sys::IpPrefix>& prefixes) {
  TRY(sys::Netlink netlink, sys::Netlink::open());
  for (const sys::IpPrefix& prefix : prefixes) {
    TRY_VOID(netlink.add_local_route(prefix.first(), prefix.length()));
  }
  return {};
}

}  // namespace

std::vector<std::string> prefix_socket_names(const std::vector<sys::IpPrefix>& prefixes) {
  std::vector<std::string> names;
  for (const bool ipv6 : {false, true}) {
    if (any_of_family(prefixes, ipv6)) names.insert(names.end(), {"tcp", "udp"});
  }
  if (!prefixes.empty()) names.emplace_back("steering");
  return names;
}

Result<std::vector<NamedSocket>> open_prefix_sockets(const std::vector<sys::IpPrefix>& prefixes) {
  std::vector<NamedSocket> out;
  if (prefixes.empty()) return out;
  TRY_VOID(add_local_routes(prefixes));
  sys::SteeredSockets steered;
  for (const bool ipv6 : {false, true}) {
    if (!any_of_family(prefixes, ipv6)) continue;
    TRY(const sys::Address at, anywhere(ipv6));
    TRY(sys::Fd tcp, sys::listen_socket(at, kBacklog));
    TRY(sys::Fd udp, sys::datagram_socket(at, sys::Binding::coming));
    (ipv6 ? steered.tcp6 : steered.tcp4) = tcp.get();
    (ipv6 ? steered.udp6 : steered.udp4) = udp.get();
    out.emplace_back("tcp", std::move(tcp));
    out.emplace_back("udp", std::move(udp));
  }
  TRY_AS(sys::Fd link, sys::steer(prefixes, steered),
         "every port of address_prefixes (leave them out, and list ports in [router] tcp and udp)");
  out.emplace_back("steering", std::move(link));
  return out;
}

void forget_prefixes(const std::vector<sys::IpPrefix>& prefixes) {
  if (prefixes.empty()) return;
  auto netlink = sys::Netlink::open();
  for (const sys::IpPrefix& prefix : prefixes) {
    const auto removed = netlink ? netlink->remove_local_route(prefix.first(), prefix.length())
                                 : Result<void>(fail(netlink.error()));
    if (!removed) log_warning("supervisor", "{}: {}", prefix.str(), removed.error().context);
  }
}

}  // namespace perigee::supervisor
