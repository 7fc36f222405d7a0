#include "control/address_pool.h"

namespace perigee::control {

Result<std::string> free_address(const std::vector<sys::IpPrefix>& prefixes, IpVersion version,
                                 const std::set<std::string>& taken) {
  const bool ipv6 = version == IpVersion::v6;
  const std::string_view name = ipv6 ? "IPv6" : "IPv4";
  bool any = false;
  for (const sys::IpPrefix& prefix : prefixes) {
    if (prefix.is_ipv6() != ipv6) continue;
    any = true;
    const bool several = prefix.size() > 2;
    const std::uint64_t end = prefix.size() - (several && !ipv6 ? 1 : 0);
    for (std::uint64_t number = several ? 1 : 0; number < end; ++number) {
      std::string address = prefix.at(number);
      if (!taken.contains(address)) return address;
    }
  }
  if (!any) {
    return fail(Code::unsupported,
                "this fleet has no {} addresses for apps (address_prefixes in perigeed.toml)",
                name);
  }
  return fail(Code::resource_exhausted,
              "all {} addresses of address_prefixes are taken: release one, or add a network",
              name);
}

}  // namespace perigee::control
