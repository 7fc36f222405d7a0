#include "sys/netlink.h"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "sys/netlink_message.h"

namespace perigee::sys {
namespace {

struct RawAddress {
  unsigned char family = AF_INET;
  std::string bytes;
};

Result<RawAddress> raw_address(const std::string& text) {
  std::array<char, 16> raw{};
  if (inet_pton(AF_INET, text.c_str(), raw.data()) == 1) {
    return RawAddress{AF_INET, std::string(raw.data(), 4)};
  }
  if (inet_pton(AF_INET6, text.c_str(), raw.data()) == 1) {
    return RawAddress{AF_INET6, std::string(raw.data(), 16)};
  }
  return fail(Code::invalid_argument, "'{}' is not an IP address", text);
}

Result<std::string> raw_mac(const std::string& text) {
  std::array<unsigned, 6> parts{};
  int end = 0;
  const int count = std::sscanf(text.c_str(), "%2x:%2x:%2x:%2x:%2x:%2x%n", &parts[0], &parts[1],
                                &parts[2], &parts[3], &parts[4], &parts[5], &end);
  if (count != 6 || static_cast<std::size_t>(end) != text.size()) {
    return fail(Code::invalid_argument, "'{}' is not a MAC address", text);
  }
  std::string raw;
  for (const unsigned part : parts) raw.push_back(static_cast<char>(part));
  return raw;
}

// The name in a RTM_NEWLINK message.
Link link_of(std::string_view payload) {
  Link link;
  link.index = read_as<ifinfomsg>(payload).ifi_index;
  for_each_attribute(skip(payload, NLMSG_ALIGN(sizeof(ifinfomsg))),
                     [&](unsigned type, std::string_view value) {
                       if (type == IFLA_IFNAME) link.name = value.substr(0, value.find('\0'));
                     });
  return link;
}

std::string text_of(int family, std::string_view raw) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const std::size_t size = family == AF_INET ? 4 : 16;
  if (raw.size() != size) return "";
  return inet_ntop(family, raw.data(), text.data(), text.size()) == nullptr ? "" : text.data();
}

// The attribute `wanted` of a list as an address.
std::string address_in(std::string_view attributes, int family, unsigned wanted) {
  std::string text;
  for_each_attribute(attributes, [&](unsigned type, std::string_view value) {
    if (type == wanted) text = text_of(family, value);
  });
  return text;
}

int link_in(std::string_view attributes, unsigned wanted) {
  int index = 0;
  for_each_attribute(attributes, [&](unsigned type, std::string_view value) {
    if (type == wanted) index = read_as<int>(value);
  });
  return index;
}

rtmsg static_route(const RawAddress& to, int prefix) {
  rtmsg body{};
  body.rtm_family = to.family;
  body.rtm_dst_len = static_cast<unsigned char>(prefix);
  body.rtm_table = RT_TABLE_MAIN;
  body.rtm_protocol = RTPROT_STATIC;
  body.rtm_scope = RT_SCOPE_LINK;
  body.rtm_type = RTN_UNICAST;
  return body;
}

constexpr int kLoopback = 1;  // the first interface of every network namespace

rtmsg local_route(const RawAddress& to, int prefix) {
  rtmsg body = static_route(to, prefix);
  body.rtm_table = RT_TABLE_LOCAL;
  body.rtm_scope = RT_SCOPE_HOST;
  body.rtm_type = RTN_LOCAL;
  return body;
}

}  // namespace

Result<Netlink> Netlink::open() {
  TRY(NetlinkSocket socket, NetlinkSocket::open(NETLINK_ROUTE));
  return Netlink(std::move(socket));
}

Result<int> Netlink::link_index(const std::string& name) {
  const unsigned index = ::if_nametoindex(name.c_str());
  if (index == 0) return fail(errno_error(errno, fmt::format("interface {}", name)));
  return static_cast<int>(index);
}

Result<std::vector<Link>> Netlink::links(std::string_view prefix) {
  ifinfomsg body{};
  body.ifi_family = AF_UNSPEC;
  std::vector<Link> all;
  TRY_VOID(socket_.dump(NetlinkMessage(RTM_GETLINK, 0, body), RTM_NEWLINK, "list links",
                        [&](std::string_view payload) { all.push_back(link_of(payload)); }));
  std::erase_if(all, [&](const Link& link) { return !link.name.starts_with(prefix); });
  return all;
}

Result<void> Netlink::set_up(int index, int mtu) {
  ifinfomsg body{};
  body.ifi_index = index;
  body.ifi_flags = IFF_UP;
  body.ifi_change = IFF_UP;
  NetlinkMessage message(RTM_NEWLINK, 0, body);
  if (mtu > 0) message.add(IFLA_MTU, static_cast<std::uint32_t>(mtu));
  return socket_.request(message, fmt::format("set interface {} up", index));
}

Result<void> Netlink::set_group(int index, std::uint32_t group) {
  ifinfomsg body{};
  body.ifi_index = index;
  NetlinkMessage message(RTM_NEWLINK, 0, body);
  message.add(IFLA_GROUP, group);
  return socket_.request(message, fmt::format("put interface {} into a group", index));
}

Result<void> Netlink::delete_link(const std::string& name) {
  const auto index = link_index(name);
  if (!index) return {};
  ifinfomsg body{};
  body.ifi_index = *index;
  return socket_.request(NetlinkMessage(RTM_DELLINK, 0, body),
                         fmt::format("delete interface {}", name));
}

Result<void> Netlink::create_link(const std::string& name, const std::string& kind) {
  NetlinkMessage message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{});
  message.add_text(IFLA_IFNAME, name);
  const std::size_t info = message.begin_nested(IFLA_LINKINFO);
  message.add_text(IFLA_INFO_KIND, kind);
  message.end_nested(info);
  auto made = socket_.request(message, fmt::format("create {} interface {}", kind, name));
  if (!made && made.error().code == Code::already_exists) return {};
  return made;
}

Result<void> Netlink::add_address(int index, const std::string& address, int prefix) {
  TRY(const RawAddress raw, raw_address(address));
  ifaddrmsg body{};
  body.ifa_family = raw.family;
  body.ifa_prefixlen = static_cast<unsigned char>(prefix);
  body.ifa_index = static_cast<unsigned>(index);
  body.ifa_flags = IFA_F_NODAD;  // nobody else could have it, and nobody has to wait
  NetlinkMessage message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, body);
  message.add(IFA_LOCAL, raw.bytes);
  message.add(IFA_ADDRESS, raw.bytes);
  return socket_.request(message, fmt::format("address {}/{}", address, prefix));
}

Result<void> Netlink::remove_address(int index, const std::string& address, int prefix) {
  TRY(const RawAddress raw, raw_address(address));
  ifaddrmsg body{};
  body.ifa_family = raw.family;
  body.ifa_prefixlen = static_cast<unsigned char>(prefix);
  body.ifa_index = static_cast<unsigned>(index);
  NetlinkMessage message(RTM_DELADDR, 0, body);
  message.add(IFA_LOCAL, raw.bytes);
  return socket_.request(message, fmt::format("remove address {}/{}", address, prefix));
}

Result<std::vector<LinkNetwork>> Netlink::addresses(int index) {
  std::vector<LinkNetwork> found;
  TRY_VOID(socket_.dump(
      NetlinkMessage(RTM_GETADDR, 0, ifaddrmsg{}), RTM_NEWADDR, "list addresses",
      [&](std::string_view payload) {
        const auto head = read_as<ifaddrmsg>(payload);
        if (static_cast<int>(head.ifa_index) != index || head.ifa_scope == RT_SCOPE_LINK) return;
        const auto attributes = skip(payload, NLMSG_ALIGN(sizeof(ifaddrmsg)));
        found.push_back({address_in(attributes, head.ifa_family, IFA_ADDRESS), head.ifa_prefixlen});
      }));
  return found;
}

Result<void> Netlink::add_route(int index, const std::string& destination, int prefix,
                                const std::string& source) {
  TRY(const RawAddress raw, raw_address(destination));
  NetlinkMessage message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, static_route(raw, prefix));
  message.add(RTA_DST, raw.bytes);
  message.add(RTA_OIF, index);
  if (!source.empty()) {
    TRY(const RawAddress from, raw_address(source));
    message.add(RTA_PREFSRC, from.bytes);
  }
  return socket_.request(message, fmt::format("route {}/{}", destination, prefix));
}

Result<void> Netlink::remove_route(int index, const std::string& destination, int prefix) {
  TRY(const RawAddress raw, raw_address(destination));
  NetlinkMessage message(RTM_DELROUTE, 0, static_route(raw, prefix));
  message.add(RTA_DST, raw.bytes);
  message.add(RTA_OIF, index);
  return socket_.request(message, fmt::format("remove route {}/{}", destination, prefix));
}

Result<std::vector<LinkNetwork>> Netlink::routes(int index) {
  std::vector<LinkNetwork> found;
  TRY_VOID(socket_.dump(NetlinkMessage(RTM_GETROUTE, 0, rtmsg{}), RTM_NEWROUTE, "list routes",
                        [&](std::string_view payload) {
                          const auto head = read_as<rtmsg>(payload);
                          const auto attributes = skip(payload, NLMSG_ALIGN(sizeof(rtmsg)));
                          if (head.rtm_table != RT_TABLE_MAIN || head.rtm_protocol != RTPROT_STATIC)
                            return;
                          if (link_in(attributes, RTA_OIF) != index) return;
                          found.push_back(
                              {address_in(attributes, head.rtm_family, RTA_DST), head.rtm_dst_len});
                        }));
  return found;
}

Result<void> Netlink::add_local_route(const std::string& destination, int prefix) {
  TRY(const RawAddress raw, raw_address(destination));
  NetlinkMessage message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, local_route(raw, prefix));
  message.add(RTA_DST, raw.bytes);
  message.add(RTA_OIF, kLoopback);
  return socket_.request(message, fmt::format("local route {}/{}", destination, prefix));
}

Result<void> Netlink::remove_local_route(const std::string& destination, int prefix) {
  TRY(const RawAddress raw, raw_address(destination));
  NetlinkMessage message(RTM_DELROUTE, 0, local_route(raw, prefix));
  message.add(RTA_DST, raw.bytes);
  message.add(RTA_OIF, kLoopback);
  return socket_.request(message, fmt::format("remove local route {}/{}", destination, prefix));
}

Result<void> Netlink::add_neighbour(int index, const std::string& address, const std::string& mac) {
  TRY(const RawAddress raw, raw_address(address));
  TRY(const std::string hardware, raw_mac(mac));
  ndmsg body{};
  body.ndm_family = raw.family;
  body.ndm_ifindex = index;
  body.ndm_state = NUD_PERMANENT;
  NetlinkMessage message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, body);
  message.add(NDA_DST, raw.bytes);
  message.add(NDA_LLADDR, hardware);
  return socket_.request(message, fmt::format("neighbour {}", address));
}

}  // namespace perigee::sys
