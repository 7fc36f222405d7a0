// Netlink: the few rtnetlink requests that Perigee makes (rtnetlink(7)): links, addresses, routes
// and neighbours. Each is answered by the kernel before the call returns: short enough for any
// thread.
//
//   TRY(Netlink netlink, Netlink::open());
//   TRY(int index, netlink.link_index("pg-0123456789ab"));
//   TRY_VOID(netlink.add_address(index, "10.201.0.1", 32));
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sys/netlink_socket.h"

namespace perigee::sys {

struct Link {
  int index = 0;
  std::string name;
  bool operator==(const Link&) const = default;
};

struct LinkNetwork {
  std::string address;
  int prefix = 0;
  bool operator==(const LinkNetwork&) const = default;
};

class Netlink {
 public:
  static Result<Netlink> open();

  Result<int> link_index(const std::string& name);
  Result<std::vector<Link>> links(std::string_view prefix);  // whose names start so
  Result<void> set_up(int index, int mtu);                   // mtu 0: as it is
  Result<void> set_group(int index, std::uint32_t group);
  Result<void> delete_link(const std::string& name);  // absent is fine
  // A link of a kind that needs no settings ("wireguard"); one of that name that exists is fine.
  // `unsupported`: the kernel doesn't know the kind.
  Result<void> create_link(const std::string& name, const std::string& kind);

  // Addresses are IPv4 or IPv6 literals. An entry that exists is replaced.
  Result<void> add_address(int index, const std::string& address, int prefix);
  Result<void> remove_address(int index, const std::string& address, int prefix);
  // Of both families, without those that the kernel gives itself (link-local).
  Result<std::vector<LinkNetwork>> addresses(int index);
  // To `destination`/`prefix` straight out of the link; `source`, if any, is what packets leave
  // with.
  Result<void> add_route(int index, const std::string& destination, int prefix,
                         const std::string& source);
  Result<void> remove_route(int index, const std::string& destination, int prefix);
  // Those that add_route() has made.
  Result<std::vector<LinkNetwork>> routes(int index);
  // All addresses of a network become this machine's own, without one of them being set (AnyIP).
  Result<void> add_local_route(const std::string& destination, int prefix);
  Result<void> remove_local_route(const std::string& destination, int prefix);
  // A permanent entry: nothing is ever asked on the wire.
  Result<void> add_neighbour(int index, const std::string& address, const std::string& mac);

 private:
  explicit Netlink(NetlinkSocket socket) : socket_(std::move(socket)) {}

  NetlinkSocket socket_;
};

}  // namespace perigee::sys
