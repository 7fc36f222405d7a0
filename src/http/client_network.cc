#include "http/client_network.h"

#include <netinet/in.h>

#include <cstring>

namespace perigee::http {

ClientNetwork client_network(const sys::Address& client) {
  ClientNetwork network{.ipv6 = client.is_ipv6()};
  if (network.ipv6) {
    const auto* ip = reinterpret_cast<const sockaddr_in6*>(client.raw());
    std::memcpy(&network.bits, ip->sin6_addr.s6_addr, sizeof network.bits);
  } else {
    network.bits = reinterpret_cast<const sockaddr_in*>(client.raw())->sin_addr.s_addr;
  }
  return network;
}

// Murmur3's finalizer: each bit of the result hangs on each of the input's.
std::uint64_t hash_of(const ClientNetwork& network, std::uint64_t salt) {
  std::uint64_t x = network.bits ^ (network.ipv6 ? ~salt : salt);
  x = (x ^ (x >> 33)) * 0xff51afd7ed558ccd;
  x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53;
  return x ^ (x >> 33);
}

}  // namespace perigee::http
