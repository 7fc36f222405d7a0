#include "http/client_share.h"

#include <netinet/in.h>

#include <cstring>

namespace perigee::http {
namespace {

// Murmur3's finalizer: each bit of the result hangs on each of the input's.
std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ (x >> 33)) * 0xff51afd7ed558ccd;
  x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53;
  return x ^ (x >> 33);
}

}  // namespace

async::ShareId client_share(const async::Loop& loop, const sys::Address& client) {
  if (client.is_unix()) return async::kOwnShare;
  std::uint64_t network = 0;
  if (client.is_ipv6()) {
    const auto* ip = reinterpret_cast<const sockaddr_in6*>(client.raw());
    std::memcpy(&network, ip->sin6_addr.s6_addr, sizeof network);
  } else {
    const auto* ip = reinterpret_cast<const sockaddr_in*>(client.raw());
    network = ip->sin_addr.s_addr;
  }
  // Where the loop lies differs from run to run, so that nobody knows whose slot is also theirs.
  return async::Shares::of(mixed(network ^ reinterpret_cast<std::uintptr_t>(&loop)));
}

}  // namespace perigee::http
