// What a WireGuard device is to be, what it is, and the difference, as plain values. Made by
// keeper.h and plan.h; carried out by the devices (device.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "mesh/keys.h"
#include "mesh/prefix.h"
#include "sys/address.h"

namespace perigee::mesh {

// ---- wanted ----

struct WantedPeer {
  std::string name;  // the node's, for people
  PublicKey key;
  std::optional<PublicKey> next_key = std::nullopt;     // announced, and not yet in use
  std::optional<sys::Address> endpoint = std::nullopt;  // none: it calls (behind NAT)
  std::vector<Prefix> allowed = {};                     // what it may send, and is sent
  Duration keepalive = Duration(0);                     // 0: none
  bool operator==(const WantedPeer&) const = default;
};

struct DeviceConfig {
  PrivateKey key;
  std::uint16_t listen_port = 0;
  std::vector<WantedPeer> peers = {};
  bool operator==(const DeviceConfig&) const = default;
};

// ---- seen ----

struct PeerState {
  PublicKey key;
  std::optional<sys::Address> endpoint = std::nullopt;  // as configured, or as it roamed to
  std::vector<Prefix> allowed = {};
  Duration keepalive = Duration(0);
  WallTime last_handshake = {};  // 0: there was none
  std::uint64_t received_bytes = 0;
  std::uint64_t sent_bytes = 0;
  bool operator==(const PeerState&) const = default;
};

struct DeviceState {
  std::optional<PrivateKey> key = std::nullopt;
  std::uint16_t listen_port = 0;
  std::vector<PeerState> peers = {};
  bool operator==(const DeviceState&) const = default;
};

// ---- the difference ----

enum class PeerAction { add, update, remove };
enum class AllowedMode { extend, replace };
struct PeerChange {
  PeerAction action = PeerAction::update;
  PublicKey key;
  std::optional<sys::Address> endpoint = std::nullopt;
  std::optional<Duration> keepalive = std::nullopt;
  AllowedMode mode = AllowedMode::extend;
  std::vector<Prefix> allowed = {};  // given to it, taken from whoever has them
  bool operator==(const PeerChange&) const = default;
};

struct DeviceChange {
  std::optional<PrivateKey> key = std::nullopt;
  std::optional<std::uint16_t> listen_port = std::nullopt;
  std::vector<PeerChange> peers = {};  // in this order
  bool empty() const { return !key && !listen_port && peers.empty(); }
  bool operator==(const DeviceChange&) const = default;
};

}  // namespace perigee::mesh
