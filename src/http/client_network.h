// Who is one client: an IPv4 address, or a network of 64 bits in IPv6, of which a client may have
// as many addresses as it likes. A value, small enough to be made for each request.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sys/address.h"

namespace perigee::http {

struct ClientNetwork {
  std::uint64_t bits = 0;  // as they go over the wire
  bool ipv6 = false;
  bool operator==(const ClientNetwork&) const = default;
};

// Of an address of the internet's families; a Unix socket has none.
ClientNetwork client_network(const sys::Address& client);

// `salt`: so that nobody outside knows which networks meet.
std::uint64_t hash_of(const ClientNetwork& network, std::uint64_t salt);

}  // namespace perigee::http
