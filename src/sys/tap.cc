#include "sys/tap.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "sys/netlink.h"

namespace perigee::sys {
namespace {

// False: this kernel has no IPv6.
bool set_ipv6(const std::string& name, const char* setting, const char* value) {
  const std::string path = fmt::format("/proc/sys/net/ipv6/conf/{}/{}", name, setting);
  const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.valid()) return false;
  return ::write(file.get(), value, 1) == 1;
}

enum class Ipv6 { off, on };

// Before the interface is up, so that it never has an address of the kernel's own making.
Ipv6 prepare_ipv6(const TapSettings& settings) {
  const bool wanted = !settings.host_address6.empty();
  const bool there = set_ipv6(settings.name, "accept_ra", "0") &&
                     set_ipv6(settings.name, "addr_gen_mode", "1") &&
                     set_ipv6(settings.name, "disable_ipv6", wanted ? "0" : "1");
  return there && wanted ? Ipv6::on : Ipv6::off;
}

Result<void> connect_guest(Netlink& netlink, int index, const std::string& host,
                           const std::string& guest, const std::string& mac, int prefix) {
  TRY_VOID(netlink.add_address(index, host, prefix));
  TRY_VOID(netlink.add_route(index, guest, prefix, host));
  return netlink.add_neighbour(index, guest, mac);
}

// The host's side of every tap: each is a link of its own. It must not change, for a guest that is
// resumed on a new tap still has it in its neighbour table, and would be silent until that expires
// (some 40 s were measured).
constexpr std::array<unsigned char, ETH_ALEN> kHostMac{0x06, 'p', 'g', 0, 0, 1};

Result<void> set_host_mac(const std::string& name) {
  TRY(const Fd socket, own(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket"));
  ifreq request{};
  std::ranges::copy(name, request.ifr_name);
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  std::memcpy(request.ifr_hwaddr.sa_data, kHostMac.data(), kHostMac.size());
  if (::ioctl(socket.get(), SIOCSIFHWADDR, &request) < 0) {
    return fail(errno_error(errno, "set the hardware address of " + name));
  }
  return {};
}

}  // namespace

// SAFETY: needs CAP_NET_ADMIN; creates an interface in this network namespace.
Result<Fd> open_tap(const std::string& name) {
  ifreq request{};
  if (name.empty() || name.size() >= sizeof request.ifr_name) {
    return fail(Code::invalid_argument, "tap name '{}': 1 to 15 characters are allowed", name);
  }
  TRY(Fd tap, own(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK),
                  "open /dev/net/tun (is the tun module loaded?)"));
  std::ranges::copy(name, request.ifr_name);
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
  if (::ioctl(tap.get(), TUNSETIFF, &request) < 0) {
    const int error = errno;
    if (error == EBUSY) {
      return fail(Code::conflict, "tap {}: another process holds it (an older VM's VMM?)", name);
    }
    return fail(errno_error(error, fmt::format("create tap {}", name)));
  }
  return tap;
}

// SAFETY: as above; who owns it may attach to it, and needs no other right for that.
Result<void> make_lasting_tap(const std::string& name, uid_t owner) {
  TRY(const Fd tap, open_tap(name));
  if (::ioctl(tap.get(), TUNSETOWNER, static_cast<unsigned long>(owner)) < 0 ||
      ::ioctl(tap.get(), TUNSETPERSIST, 1UL) < 0) {
    return fail(errno_error(errno, fmt::format("keep tap {}", name)));
  }
  return {};
}

Result<void> set_tap_offload(int tap, TapOffload offload) {
  unsigned flags = TUN_F_CSUM;
  if (offload == TapOffload::segments) flags |= TUN_F_TSO4 | TUN_F_TSO6;
  if (::ioctl(tap, TUNSETOFFLOAD, static_cast<unsigned long>(flags)) < 0) {
    return fail(errno_error(errno, "set the offloads of a tap"));
  }
  return {};
}

void remove_tap(const std::string& name) {
  auto netlink = Netlink::open();
  if (!netlink) return;
  [[maybe_unused]] const auto removed = netlink->delete_link(name);
}

Result<void> set_up_tap(const TapSettings& settings) {
  const std::string what = fmt::format("tap {}", settings.name);
  TRY(Netlink netlink, Netlink::open());
  TRY(const int index, netlink.link_index(settings.name));
  const Ipv6 ipv6 = prepare_ipv6(settings);
  TRY_VOID(set_host_mac(settings.name));
  TRY_VOID_AS(netlink.set_group(index, settings.group), what);
  TRY_VOID_AS(netlink.set_up(index, settings.mtu), what);
  TRY_VOID_AS(connect_guest(netlink, index, settings.host_address, settings.guest_address,
                            settings.guest_mac, 32),
              what);
  if (ipv6 == Ipv6::off) return {};
  TRY_VOID_AS(connect_guest(netlink, index, settings.host_address6, settings.guest_address6,
                            settings.guest_mac, 128),
              what);
  return {};
}

}  // namespace perigee::sys
