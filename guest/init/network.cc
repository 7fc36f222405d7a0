#include "init/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>

#include "init/system.h"
#include "init/text.h"

namespace perigee::init {
namespace {

struct Address {
  unsigned char family = AF_INET;
  unsigned char prefix = 32;
  std::string bytes;  // network order
};

std::optional<Address> parse_address(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string host(text.substr(0, slash));
  Address address;
  address.family = host.find(':') == std::string::npos ? AF_INET : AF_INET6;
  const std::size_t size = address.family == AF_INET ? 4 : 16;
  char bytes[16];
  if (inet_pton(address.family, host.c_str(), bytes) != 1) {
    return std::nullopt;
  }
  address.bytes.assign(bytes, size);
  const auto prefix = slash == std::string_view::npos ? static_cast<std::uint32_t>(size * 8)
                                                      : parse_number(text.substr(slash + 1));
  if (!prefix || *prefix > size * 8) {
    return std::nullopt;
  }
  address.prefix = static_cast<unsigned char>(*prefix);
  return address;
}

// One netlink message after another in a buffer; each remembers what it is for.
class Batch {
 public:
  template <typename Body>
  void begin(std::uint16_t type, std::uint16_t flags, const Body& body, std::string what) {
    pad();
    start_ = bytes_.size();
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    header.nlmsg_seq = static_cast<std::uint32_t>(whats_.size());
    append(&header, sizeof header);
    append(&body, sizeof body);
    whats_.push_back(std::move(what));
    update_length();
  }

  void attribute(std::uint16_t type, std::string_view value) {
    pad();
    rtattr header{};
    header.rta_type = type;
    header.rta_len = static_cast<std::uint16_t>(RTA_LENGTH(value.size()));
    append(&header, sizeof header);
    append(value.data(), value.size());
    update_length();
  }
  void attribute(std::uint16_t type, std::uint32_t value) {
    char bytes[sizeof value];
    memcpy(bytes, &value, sizeof value);
    attribute(type, std::string_view(bytes, sizeof bytes));
  }

  const std::string& bytes() const { return bytes_; }
  const std::vector<std::string>& whats() const { return whats_; }

 private:
  void append(const void* data, std::size_t size) {
    bytes_.append(static_cast<const char*>(data), size);
  }
  void pad() { bytes_.resize(NLMSG_ALIGN(bytes_.size()), '\0'); }
  void update_length() {
    const auto length = static_cast<std::uint32_t>(bytes_.size() - start_);
    memcpy(bytes_.data() + start_, &length, sizeof length);  // nlmsg_len is the first field
  }

  std::string bytes_;
  std::size_t start_ = 0;
  std::vector<std::string> whats_;
};

void add_link_up(Batch& batch, int index, std::uint32_t mtu, const char* name) {
  ifinfomsg body{};
  body.ifi_family = AF_UNSPEC;
  body.ifi_index = index;
  body.ifi_flags = IFF_UP;
  body.ifi_change = IFF_UP;
  batch.begin(RTM_NEWLINK, 0, body, std::string("bringing up ") + name);
  if (mtu != 0) {
    batch.attribute(IFLA_MTU, mtu);
  }
}

void add_address(Batch& batch, int index, const Address& address, const std::string& text) {
  ifaddrmsg body{};
  body.ifa_family = address.family;
  body.ifa_prefixlen = address.prefix;
  body.ifa_flags = IFA_F_NODAD;
  body.ifa_index = static_cast<unsigned>(index);
  batch.begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, body, "address " + text);
  batch.attribute(IFA_LOCAL, address.bytes);
  batch.attribute(IFA_ADDRESS, address.bytes);
}

rtmsg route(const Address& address) {
  rtmsg body{};
  body.rtm_family = address.family;
  body.rtm_table = RT_TABLE_MAIN;
  body.rtm_protocol = RTPROT_BOOT;
  body.rtm_scope = RT_SCOPE_UNIVERSE;
  body.rtm_type = RTN_UNICAST;
  return body;
}

void add_gateway(Batch& batch, int index, const Address& gateway, const std::string& text) {
  constexpr std::uint16_t kFlags = NLM_F_CREATE | NLM_F_REPLACE;
  rtmsg to_gateway = route(gateway);
  to_gateway.rtm_dst_len = static_cast<unsigned char>(gateway.bytes.size() * 8);
  to_gateway.rtm_scope = RT_SCOPE_LINK;
  batch.begin(RTM_NEWROUTE, kFlags, to_gateway, "route to gateway " + text);
  batch.attribute(RTA_DST, gateway.bytes);
  batch.attribute(RTA_OIF, static_cast<std::uint32_t>(index));

  batch.begin(RTM_NEWROUTE, kFlags, route(gateway), "default route through " + text);
  batch.attribute(RTA_GATEWAY, gateway.bytes);
  batch.attribute(RTA_OIF, static_cast<std::uint32_t>(index));
}

// Nothing is asked on the wire: the host answers no such questions of IPv6's.
void add_neighbour(Batch& batch, int index, const Address& gateway, const std::string& mac,
                   const std::string& text) {
  ndmsg body{};
  body.ndm_family = gateway.family;
  body.ndm_ifindex = index;
  body.ndm_state = NUD_PERMANENT;
  batch.begin(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, body, "neighbour " + text);
  batch.attribute(NDA_DST, gateway.bytes);
  batch.attribute(NDA_LLADDR, mac);
}

// "06:70:67:00:00:01" as six bytes.
std::optional<std::string> parse_mac(const std::string& text) {
  unsigned parts[6];
  int end = 0;
  const int count = sscanf(text.c_str(), "%2x:%2x:%2x:%2x:%2x:%2x%n", &parts[0], &parts[1],
                           &parts[2], &parts[3], &parts[4], &parts[5], &end);
  if (count != 6 || static_cast<std::size_t>(end) != text.size()) {
    return std::nullopt;
  }
  std::string bytes;
  for (const unsigned part : parts) {
    bytes.push_back(static_cast<char>(part));
  }
  return bytes;
}

bool has_ipv6() {
  return static_cast<bool>(Fd(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)));
}

Status add_addresses(Batch& batch, int index, const std::vector<std::string>& addresses,
                     bool ipv6) {
  for (const std::string& text : addresses) {
    const auto address = parse_address(text);
    if (!address) {
      return fail("network: address \"" + text + "\" is not an address like 10.0.0.2/32");
    }
    if (address->family == AF_INET || ipv6) {
      add_address(batch, index, *address, text);
    }
  }
  return {};
}

Status add_gateways(Batch& batch, int index, const std::vector<std::string>& gateways,
                    const std::string& mac, bool ipv6) {
  const auto hardware = mac.empty() ? std::nullopt : parse_mac(mac);
  if (!mac.empty() && !hardware) {
    return fail("network: \"" + mac + "\" is not a hardware address like 06:70:67:00:00:01");
  }
  for (const std::string& text : gateways) {
    const auto gateway = parse_address(text);
    if (!gateway || text.find('/') != std::string::npos) {
      return fail("network: gateway \"" + text + "\" is not an address like 10.0.0.1");
    }
    if (gateway->family == AF_INET6 && !ipv6) {
      continue;
    }
    add_gateway(batch, index, *gateway, text);
    if (hardware) {
      add_neighbour(batch, index, *gateway, *hardware, text);
    }
  }
  return {};
}

// The first refusal among the answers, one of which comes for each message.
Status read_answers(const Fd& socket, const Batch& batch) {
  for (std::size_t answered = 0; answered < batch.whats().size();) {
    char buffer[8192];
    const ssize_t count = recv(socket.get(), buffer, sizeof buffer, 0);
    if (count < 0) {
      return fail_errno("netlink", errno, "");
    }
    std::string_view rest(buffer, static_cast<std::size_t>(count));
    while (rest.size() >= sizeof(nlmsghdr) + sizeof(nlmsgerr)) {
      nlmsghdr header{};
      nlmsgerr answer{};
      memcpy(&header, rest.data(), sizeof header);
      memcpy(&answer, rest.data() + sizeof header, sizeof answer);
      rest.remove_prefix(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), rest.size()));
      ++answered;
      if (answer.error != 0 && header.nlmsg_seq < batch.whats().size()) {
        return fail_errno("network: " + batch.whats()[header.nlmsg_seq], -answer.error,
                          "check the machine's addresses and gateways");
      }
    }
  }
  return {};
}

Status apply(const Batch& batch) {
  const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket) {
    return fail_errno("netlink", errno, "the kernel lacks networking");
  }
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  const std::string& bytes = batch.bytes();
  if (sendto(socket.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&kernel),
             sizeof kernel) < 0) {
    return fail_errno("netlink", errno, "");
  }
  return read_answers(socket, batch);
}

}  // namespace

Status configure_network(const std::vector<std::string>& addresses,
                         const std::vector<std::string>& gateways, const std::string& gateway_mac,
                         std::uint32_t mtu) {
  Batch batch;
  add_link_up(batch, 1, 0, "lo");  // lo is always the first
  const int index = static_cast<int>(if_nametoindex("eth0"));
  if (index == 0 && !(addresses.empty() && gateways.empty())) {
    return fail("network: no eth0; the VMM was given no network device");
  }
  if (index != 0) {
    add_link_up(batch, index, mtu, "eth0");
  }
  const bool ipv6 = has_ipv6();
  if (auto done = add_addresses(batch, index, addresses, ipv6); !done) {
    return done;
  }
  if (auto done = add_gateways(batch, index, gateways, gateway_mac, ipv6); !done) {
    return done;
  }
  return apply(batch);
}

}  // namespace perigee::init
