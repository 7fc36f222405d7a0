// Netlink: the few rtnetlink requests that Perigee makes (RFC 3549; rtnetlink(7)): links,
// addresses, routes and neighbours. One socket, one request at a time, answered by the kernel
// before the call returns: short enough for any thread.
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
#include "sys/fd.h"

namespace perigee::sys {

struct Link {
  int index = 0;
  std::string name;
  bool operator==(const Link&) const = default;
};

class Netlink {
 public:
  static Result<Netlink> open();

  Result<int> link_index(const std::string& name);
  Result<std::vector<Link>> links(std::string_view prefix);  // whose names start so
  Result<void> set_up(int index, int mtu);                   // mtu 0: as it is
  Result<void> set_group(int index, std::uint32_t group);
  Result<void> delete_link(const std::string& name);  // absent is fine

  // Addresses are IPv4 or IPv6 literals. An entry that exists is replaced.
  Result<void> add_address(int index, const std::string& address, int prefix);
  // To `destination`/`prefix` straight out of the link; `source`, if any, is what packets leave
  // with.
  Result<void> add_route(int index, const std::string& destination, int prefix,
                         const std::string& source);
  // A permanent entry: nothing is ever asked on the wire.
  Result<void> add_neighbour(int index, const std::string& address, const std::string& mac);

 private:
  explicit Netlink(Fd fd) : fd_(std::move(fd)) {}
  Result<void> request(std::string message, std::string_view what);
  Result<void> dump(std::string message, std::vector<Link>& into);

  Fd fd_;
  std::uint32_t sequence_ = 0;
};

}  // namespace perigee::sys
