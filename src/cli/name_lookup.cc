#include "cli/name_lookup.h"

#include <netdb.h>

#include <memory>
#include <set>

#include "sys/address.h"

namespace perigee::cli {
namespace {

std::vector<std::string> addresses_now(const std::string& name) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(name.c_str(), nullptr, &hints, &found) != 0) return {};
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all(found, ::freeaddrinfo);
  std::set<std::string> out;
  for (const addrinfo* each = all.get(); each != nullptr; each = each->ai_next) {
    out.insert(sys::Address::from_raw(each->ai_addr, each->ai_addrlen).host());
  }
  return {out.begin(), out.end()};
}

}  // namespace

async::Task<std::vector<std::string>> look_up(sys::Host& host, std::string name) {
  return host.pool.run(host.loop, [name = std::move(name)] { return addresses_now(name); });
}

}  // namespace perigee::cli
