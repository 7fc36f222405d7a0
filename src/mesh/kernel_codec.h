// The messages of the kernel's WireGuard: generic netlink, family "wireguard" (linux/wireguard.h).
// Pure: what is said, without a socket.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "mesh/types.h"
#include "sys/netlink_message.h"

namespace perigee::mesh {

sys::NetlinkMessage kernel_get(std::uint16_t family, const std::string& interface);
// Several where one would be larger than kMaxKernelMessage; in this order.
std::vector<sys::NetlinkMessage> kernel_set(std::uint16_t family, const std::string& interface,
                                            const DeviceChange& change);
// One part of the answer to kernel_get(), added to what earlier parts have told: a peer with many
// addresses is told in several.
Result<void> parse_kernel_state(std::string_view payload, DeviceState& into);

}  // namespace perigee::mesh
