#include "mesh/kernel_codec.h"

#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <sys/socket.h>

#include "mesh/limits.h"

namespace perigee::mesh {
namespace {

using sys::NetlinkMessage;

// As the kernel has it on all architectures (__kernel_timespec).
struct KernelTime {
  std::int64_t seconds = 0;
  std::int64_t nanoseconds = 0;
};

constexpr std::size_t kMaxPeerMessage = 1024;  // of one change, kMaxAllowedPrefixes prefixes

NetlinkMessage begin(std::uint16_t family, std::uint8_t command, const std::string& interface) {
  const genlmsghdr head{.cmd = command, .version = WG_GENL_VERSION, .reserved = 0};
  NetlinkMessage message(family, 0, head);
  message.add_text(WGDEVICE_A_IFNAME, interface);
  return message;
}

std::uint32_t flags_of(const PeerChange& peer) {
  if (peer.action == PeerAction::remove) return WGPEER_F_REMOVE_ME;
  std::uint32_t flags = 0;
  if (peer.action == PeerAction::update) flags |= WGPEER_F_UPDATE_ONLY;
  if (peer.mode == AllowedMode::replace) flags |= WGPEER_F_REPLACE_ALLOWEDIPS;
  return flags;
}

void put_prefix(NetlinkMessage& message, const Prefix& prefix) {
  const std::size_t entry = message.begin_nested(0);
  message.add(WGALLOWEDIP_A_FAMILY, static_cast<std::uint16_t>(prefix.family));
  message.add(WGALLOWEDIP_A_IPADDR, prefix.raw());
  message.add(WGALLOWEDIP_A_CIDR_MASK, static_cast<std::uint8_t>(prefix.length));
  message.end_nested(entry);
}

void put_peer(NetlinkMessage& message, const PeerChange& peer) {
  const std::size_t entry = message.begin_nested(0);
  message.add(WGPEER_A_PUBLIC_KEY, peer.key.raw());
  if (const std::uint32_t flags = flags_of(peer); flags != 0) message.add(WGPEER_A_FLAGS, flags);
  if (peer.endpoint) {
    message.add(WGPEER_A_ENDPOINT,
                {reinterpret_cast<const char*>(peer.endpoint->raw()), peer.endpoint->raw_size()});
  }
  if (peer.keepalive) {
    message.add(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL,
                static_cast<std::uint16_t>(to_ms(*peer.keepalive) / 1000));
  }
  if (!peer.allowed.empty()) {
    const std::size_t list = message.begin_nested(WGPEER_A_ALLOWEDIPS);
    for (const Prefix& prefix : peer.allowed) put_prefix(message, prefix);
    message.end_nested(list);
  }
  message.end_nested(entry);
}

Result<Prefix> prefix_of(std::string_view attributes) {
  Prefix prefix;
  std::string_view raw;
  sys::for_each_attribute(attributes, [&](unsigned type, std::string_view value) {
    if (type == WGALLOWEDIP_A_FAMILY) prefix.family = sys::read_as<std::uint16_t>(value);
    if (type == WGALLOWEDIP_A_CIDR_MASK) prefix.length = sys::read_as<std::uint8_t>(value);
    if (type == WGALLOWEDIP_A_IPADDR) raw = value;
  });
  const bool known = prefix.family == AF_INET || prefix.family == AF_INET6;
  if (!known || raw.size() != prefix.raw().size() ||
      static_cast<std::size_t>(prefix.length) > 8 * raw.size()) {
    return fail(Code::data_loss, "WireGuard's answer has an address that is none");
  }
  std::ranges::copy(raw, prefix.bytes.begin());
  return prefix;
}

WallTime time_of(std::string_view value) {
  constexpr std::int64_t kBillion = 1'000'000'000;
  const auto time = sys::read_as<KernelTime>(value);
  if (time.seconds < 0 || time.seconds > 9 * kBillion || time.nanoseconds < 0 ||
      time.nanoseconds >= kBillion) {
    return {};
  }
  return {time.seconds * kBillion + time.nanoseconds};
}

std::optional<sys::Address> endpoint_of(std::string_view value) {
  const auto family = sys::read_as<sa_family_t>(value);
  if (family != AF_INET && family != AF_INET6) return std::nullopt;
  sockaddr_storage raw{};
  std::memcpy(&raw, value.data(), std::min(value.size(), sizeof raw));  // NOLINT: sized
  return sys::Address::from_raw(reinterpret_cast<const sockaddr*>(&raw),
                                static_cast<socklen_t>(value.size()));
}

void take_peer_field(unsigned type, std::string_view value, PeerState& peer) {
  if (type == WGPEER_A_ENDPOINT) peer.endpoint = endpoint_of(value);
  if (type == WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL) {
    peer.keepalive = std::chrono::seconds(sys::read_as<std::uint16_t>(value));
  }
  if (type == WGPEER_A_LAST_HANDSHAKE_TIME) peer.last_handshake = time_of(value);
  if (type == WGPEER_A_RX_BYTES) peer.received_bytes = sys::read_as<std::uint64_t>(value);
  if (type == WGPEER_A_TX_BYTES) peer.sent_bytes = sys::read_as<std::uint64_t>(value);
}

Result<void> take_peer(std::string_view attributes, DeviceState& into) {
  std::string_view raw;
  std::string_view allowed;
  sys::for_each_attribute(attributes, [&](unsigned type, std::string_view value) {
    if (type == WGPEER_A_PUBLIC_KEY) raw = value;
    if (type == WGPEER_A_ALLOWEDIPS) allowed = value;
  });
  TRY_AS(PublicKey key, PublicKey::from_raw(raw), "WireGuard's answer");
  if (into.peers.empty() || into.peers.back().key != key) {
    if (into.peers.size() == kMaxPeers) {
      return fail(Code::resource_exhausted, "the device has more than {} peers", kMaxPeers);
    }
    into.peers.push_back({.key = std::move(key)});
  }
  PeerState& peer = into.peers.back();
  sys::for_each_attribute(attributes, [&peer](unsigned type, std::string_view value) {
    take_peer_field(type, value, peer);
  });
  Result<void> result;
  sys::for_each_attribute(allowed, [&](unsigned, std::string_view value) {
    auto prefix = prefix_of(value);
    if (prefix) {
      peer.allowed.push_back(*prefix);
    } else {
      result = fail(std::move(prefix).error());
    }
  });
  return result;
}

}  // namespace

NetlinkMessage kernel_get(std::uint16_t family, const std::string& interface) {
  return begin(family, WG_CMD_GET_DEVICE, interface);
}

std::vector<NetlinkMessage> kernel_set(std::uint16_t family, const std::string& interface,
                                       const DeviceChange& change) {
  std::vector<NetlinkMessage> out;
  out.push_back(begin(family, WG_CMD_SET_DEVICE, interface));
  if (change.key) out.back().add(WGDEVICE_A_PRIVATE_KEY, change.key->raw());
  if (change.listen_port) out.back().add(WGDEVICE_A_LISTEN_PORT, *change.listen_port);
  for (std::size_t next = 0; next < change.peers.size();) {
    if (next > 0) out.push_back(begin(family, WG_CMD_SET_DEVICE, interface));
    const std::size_t list = out.back().begin_nested(WGDEVICE_A_PEERS);
    while (next < change.peers.size() && out.back().size() < kMaxKernelMessage - kMaxPeerMessage) {
      put_peer(out.back(), change.peers[next++]);
    }
    out.back().end_nested(list);
  }
  return out;
}

Result<void> parse_kernel_state(std::string_view payload, DeviceState& into) {
  Result<void> result;
  const auto note = [&result](Result<void> done) {
    if (!done && result) result = std::move(done);
  };
  sys::for_each_attribute(
      sys::skip(payload, GENL_HDRLEN), [&](unsigned type, std::string_view value) {
        if (type == WGDEVICE_A_LISTEN_PORT) into.listen_port = sys::read_as<std::uint16_t>(value);
        if (type == WGDEVICE_A_PRIVATE_KEY) {
          if (auto key = PrivateKey::from_raw(value)) into.key = *key;
        }
        if (type != WGDEVICE_A_PEERS) return;
        sys::for_each_attribute(
            value, [&](unsigned, std::string_view peer) { note(take_peer(peer, into)); });
      });
  return result;
}

}  // namespace perigee::mesh
