#include "mesh/interface.h"

#include <algorithm>

#include "sys/netlink.h"

namespace perigee::mesh {
namespace {

using sys::LinkNetwork;

Result<void> configure_address(sys::Netlink& netlink, int index, const LinkNetwork& wanted) {
  TRY(const auto present, netlink.addresses(index));
  for (const LinkNetwork& other : present) {
    if (other != wanted) TRY_VOID(netlink.remove_address(index, other.address, other.prefix));
  }
  if (std::ranges::count(present, wanted) > 0) return {};
  return netlink.add_address(index, wanted.address, wanted.prefix);
}

Result<void> configure_route(sys::Netlink& netlink, int index, const LinkNetwork& wanted,
                             const std::string& source) {
  TRY(const auto present, netlink.routes(index));
  for (const LinkNetwork& other : present) {
    if (other != wanted) TRY_VOID(netlink.remove_route(index, other.address, other.prefix));
  }
  if (std::ranges::count(present, wanted) > 0) return {};
  return netlink.add_route(index, wanted.address, wanted.prefix, source);
}

}  // namespace

Result<void> configure_interface(const InterfaceConfig& config) {
  constexpr int kWholeAddress = 128;
  const std::string what = fmt::format("mesh interface {}", config.name);
  TRY(sys::Netlink netlink, sys::Netlink::open());
  TRY_AS(const int index, netlink.link_index(config.name), what);
  TRY_VOID_AS(netlink.set_up(index, config.mtu), what);
  TRY_VOID_AS(configure_address(netlink, index, {config.address, kWholeAddress}), what);
  TRY_VOID_AS(configure_route(netlink, index, {config.route.address(), config.route.length},
                              config.address),
              what);
  return {};
}

}  // namespace perigee::mesh
