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
#include <cstring>

#include "base/text.h"

namespace perigee::sys {
namespace {

constexpr std::size_t kReceiveBuffer = 32 * 1024;

template <typename T>
std::string_view bytes_of(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

template <typename T>
T read_as(std::string_view bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));  // NOLINT: sized
  return value;
}

void pad(std::string& message) {
  message.resize(NLMSG_ALIGN(message.size()), '\0');
}

// A request: header (its length and sequence are filled in later), then the family's own header.
template <typename T>
std::string start(std::uint16_t type, unsigned flags, const T& body) {
  nlmsghdr header{};
  header.nlmsg_type = type;
  header.nlmsg_flags = static_cast<std::uint16_t>(flags);
  std::string message(bytes_of(header));
  message += bytes_of(body);
  pad(message);
  return message;
}

void attribute(std::string& message, unsigned type, std::string_view value) {
  rtattr header{};
  header.rta_len = static_cast<unsigned short>(RTA_LENGTH(value.size()));
  header.rta_type = static_cast<unsigned short>(type);
  message += bytes_of(header);
  message += value;
  pad(message);
}

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
  payload.remove_prefix(std::min(payload.size(), std::size_t{NLMSG_ALIGN(sizeof(ifinfomsg))}));
  while (payload.size() >= sizeof(rtattr)) {
    const auto header = read_as<rtattr>(payload);
    if (header.rta_len < sizeof(rtattr) || header.rta_len > payload.size()) break;
    if (header.rta_type == IFLA_IFNAME) {
      const auto value = payload.substr(sizeof(rtattr), header.rta_len - sizeof(rtattr));
      link.name = std::string(value.substr(0, value.find('\0')));
    }
    payload.remove_prefix(std::min(payload.size(), std::size_t{RTA_ALIGN(header.rta_len)}));
  }
  return link;
}

}  // namespace

Result<Netlink> Netlink::open() {
  TRY(Fd fd, own(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), "netlink socket"));
  sockaddr_nl self{};
  self.nl_family = AF_NETLINK;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&self), sizeof self) < 0) {
    return fail(errno_error(errno, "bind netlink socket"));
  }
  return Netlink(std::move(fd));
}

// Sends one message and reads until the kernel's answer to it: an error number, 0 for done.
Result<void> Netlink::request(std::string message, std::string_view what) {
  auto header = read_as<nlmsghdr>(message);
  header.nlmsg_len = static_cast<std::uint32_t>(message.size());
  header.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
  header.nlmsg_seq = ++sequence_;
  std::memcpy(message.data(), &header, sizeof header);
  if (::send(fd_.get(), message.data(), message.size(), 0) < 0)
    return fail(errno_error(errno, what));
  std::array<char, kReceiveBuffer> buffer;
  for (;;) {
    const ssize_t n = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(errno, what));
    const std::string_view answer(buffer.data(), static_cast<std::size_t>(n));
    const auto first = read_as<nlmsghdr>(answer);
    if (first.nlmsg_seq != sequence_ || first.nlmsg_type != NLMSG_ERROR) continue;
    const int error = read_as<nlmsgerr>(answer.substr(NLMSG_HDRLEN)).error;
    if (error != 0) return fail(errno_error(-error, what));
    return {};
  }
}

Result<void> Netlink::dump(std::string message, std::vector<Link>& into) {
  auto header = read_as<nlmsghdr>(message);
  header.nlmsg_len = static_cast<std::uint32_t>(message.size());
  header.nlmsg_flags |= NLM_F_REQUEST | NLM_F_DUMP;
  header.nlmsg_seq = ++sequence_;
  std::memcpy(message.data(), &header, sizeof header);
  if (::send(fd_.get(), message.data(), message.size(), 0) < 0) {
    return fail(errno_error(errno, "list links"));
  }
  std::array<char, kReceiveBuffer> buffer;
  for (;;) {
    const ssize_t n = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error(errno, "list links"));
    std::string_view rest(buffer.data(), static_cast<std::size_t>(n));
    while (rest.size() >= sizeof(nlmsghdr)) {
      const auto part = read_as<nlmsghdr>(rest);
      if (part.nlmsg_len < NLMSG_HDRLEN || part.nlmsg_len > rest.size()) break;
      if (part.nlmsg_type == NLMSG_DONE) return {};
      if (part.nlmsg_type == NLMSG_ERROR) return fail(Code::internal, "list links: refused");
      if (part.nlmsg_type == RTM_NEWLINK) {
        into.push_back(link_of(rest.substr(NLMSG_HDRLEN, part.nlmsg_len - NLMSG_HDRLEN)));
      }
      rest.remove_prefix(std::min(rest.size(), std::size_t{NLMSG_ALIGN(part.nlmsg_len)}));
    }
  }
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
  TRY_VOID(dump(start(RTM_GETLINK, 0, body), all));
  std::erase_if(all, [&](const Link& link) { return !link.name.starts_with(prefix); });
  return all;
}

Result<void> Netlink::set_up(int index, int mtu) {
  ifinfomsg body{};
  body.ifi_index = index;
  body.ifi_flags = IFF_UP;
  body.ifi_change = IFF_UP;
  std::string message = start(RTM_NEWLINK, 0, body);
  if (mtu > 0) attribute(message, IFLA_MTU, bytes_of(static_cast<std::uint32_t>(mtu)));
  return request(std::move(message), fmt::format("set interface {} up", index));
}

Result<void> Netlink::set_group(int index, std::uint32_t group) {
  ifinfomsg body{};
  body.ifi_index = index;
  std::string message = start(RTM_NEWLINK, 0, body);
  attribute(message, IFLA_GROUP, bytes_of(group));
  return request(std::move(message), fmt::format("put interface {} into a group", index));
}

Result<void> Netlink::delete_link(const std::string& name) {
  const auto index = link_index(name);
  if (!index) return {};
  ifinfomsg body{};
  body.ifi_index = *index;
  return request(start(RTM_DELLINK, 0, body), fmt::format("delete interface {}", name));
}

Result<void> Netlink::add_address(int index, const std::string& address, int prefix) {
  TRY(const RawAddress raw, raw_address(address));
  ifaddrmsg body{};
  body.ifa_family = raw.family;
  body.ifa_prefixlen = static_cast<unsigned char>(prefix);
  body.ifa_index = static_cast<unsigned>(index);
  body.ifa_flags = IFA_F_NODAD;  // nobody else could have it, and nobody has to wait
  std::string message = start(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, body);
  attribute(message, IFA_LOCAL, raw.bytes);
  attribute(message, IFA_ADDRESS, raw.bytes);
  return request(std::move(message), fmt::format("address {}/{}", address, prefix));
}

Result<void> Netlink::add_route(int index, const std::string& destination, int prefix,
                                const std::string& source) {
  TRY(const RawAddress raw, raw_address(destination));
  rtmsg body{};
  body.rtm_family = raw.family;
  body.rtm_dst_len = static_cast<unsigned char>(prefix);
  body.rtm_table = RT_TABLE_MAIN;
  body.rtm_protocol = RTPROT_STATIC;
  body.rtm_scope = RT_SCOPE_LINK;
  body.rtm_type = RTN_UNICAST;
  std::string message = start(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, body);
  attribute(message, RTA_DST, raw.bytes);
  attribute(message, RTA_OIF, bytes_of(index));
  if (!source.empty()) {
    TRY(const RawAddress from, raw_address(source));
    attribute(message, RTA_PREFSRC, from.bytes);
  }
  return request(std::move(message), fmt::format("route {}/{}", destination, prefix));
}

Result<void> Netlink::add_neighbour(int index, const std::string& address, const std::string& mac) {
  TRY(const RawAddress raw, raw_address(address));
  TRY(const std::string hardware, raw_mac(mac));
  ndmsg body{};
  body.ndm_family = raw.family;
  body.ndm_ifindex = index;
  body.ndm_state = NUD_PERMANENT;
  std::string message = start(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, body);
  attribute(message, NDA_DST, raw.bytes);
  attribute(message, NDA_LLADDR, hardware);
  return request(std::move(message), fmt::format("neighbour {}", address));
}

}  // namespace perigee::sys
