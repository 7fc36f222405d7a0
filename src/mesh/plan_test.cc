#include <doctest/doctest.h>

#include <algorithm>
#include <utility>

#include "mesh/limits.h"
#include "mesh/plan.h"

using namespace perigee;
using namespace perigee::mesh;

namespace {

constexpr WallTime kNow{1'790'000'000'000'000'000};

PublicKey key(char fill) {
  return *PublicKey::from_raw(std::string(32, fill));
}

PrivateKey own_key(char fill) {
  return *PrivateKey::from_raw(std::string(32, fill));
}

Prefix prefix(std::string_view text) {
  return *Prefix::parse(text);
}

sys::Address address(std::string_view text) {
  return *sys::Address::parse(text);
}

WantedPeer wanted_peer(char fill, std::string_view network) {
  return {.name = std::string(1, fill),
          .key = key(fill),
          .endpoint = address("203.0.113.7:51820"),
          .allowed = {prefix(network)},
          .keepalive = 25s};
}

DeviceConfig wanted() {
  return {.key = own_key('k'),
          .listen_port = 51820,
          .peers = {wanted_peer('a', "fd00:1::/64"), wanted_peer('b', "fd00:2::/64")}};
}

// The device as `change` leaves it, by WireGuard's rules.
void carry_out(const DeviceChange& change, DeviceState& state) {
  if (change.key) state.key = change.key;
  if (change.listen_port) state.listen_port = *change.listen_port;
  for (const PeerChange& each : change.peers) {
    auto found = std::ranges::find(state.peers, each.key, &PeerState::key);
    if (each.action == PeerAction::remove) {
      REQUIRE(found != state.peers.end());
      state.peers.erase(found);
      continue;
    }
    REQUIRE((found == state.peers.end()) == (each.action == PeerAction::add));
    if (found == state.peers.end()) {
      found = state.peers.insert(found, PeerState{.key = each.key});
    }
    if (each.endpoint) found->endpoint = each.endpoint;
    if (each.keepalive) found->keepalive = *each.keepalive;
    if (each.mode == AllowedMode::replace) found->allowed.clear();
    for (const Prefix& moved : each.allowed) {
      for (PeerState& other : state.peers) std::erase(other.allowed, moved);
      found->allowed.push_back(moved);
    }
  }
}

DeviceState configured() {
  DeviceState state;
  carry_out(plan(wanted(), state, kNow), state);
  return state;
}

PeerState& peer(DeviceState& state, char fill) {
  const auto found = std::ranges::find(state.peers, key(fill), &PeerState::key);
  REQUIRE(found != state.peers.end());
  return *found;
}

}  // namespace

TEST_CASE("a new device gets key, port and all peers") {
  const DeviceChange change = plan(wanted(), DeviceState{}, kNow);
  CHECK(change.key == own_key('k'));
  CHECK(change.listen_port == 51820);
  REQUIRE(change.peers.size() == 2);
  CHECK(change.peers[0].action == PeerAction::add);
  CHECK(change.peers[0].allowed == std::vector{prefix("fd00:1::/64")});
}

TEST_CASE("a device that is as wanted is not touched") {
  CHECK(plan(wanted(), configured(), kNow).empty());
}

TEST_CASE("a peer that comes or goes leaves the others unmentioned") {
  DeviceConfig more = wanted();
  more.peers.push_back(wanted_peer('c', "fd00:3::/64"));
  const DeviceChange added = plan(more, configured(), kNow);
  REQUIRE(added.peers.size() == 1);
  CHECK(added.peers[0].key == key('c'));

  DeviceConfig fewer = wanted();
  fewer.peers.pop_back();
  const DeviceChange removed = plan(fewer, configured(), kNow);
  CHECK_FALSE(removed.key.has_value());
  REQUIRE(removed.peers.size() == 1);
  CHECK(removed.peers[0] == PeerChange{.action = PeerAction::remove, .key = key('b')});
}

TEST_CASE("an endpoint that a peer has roamed to is left alone while it is in contact") {
  DeviceState seen = configured();
  peer(seen, 'a').endpoint = address("198.51.100.9:4000");
  peer(seen, 'a').last_handshake = kNow + (1s - kContactLost);
  CHECK(plan(wanted(), seen, kNow).empty());
  const DeviceChange change = plan(wanted(), seen, kNow + 2s);
  REQUIRE(change.peers.size() == 1);
  CHECK(change.peers[0].endpoint == address("203.0.113.7:51820"));
  CHECK_FALSE(change.peers[0].keepalive.has_value());
}

TEST_CASE("a peer behind NAT has no endpoint to be set, whatever it is seen at") {
  DeviceConfig config = wanted();
  config.peers[0].endpoint = std::nullopt;
  DeviceState seen;
  const DeviceChange first = plan(config, seen, kNow);
  CHECK_FALSE(first.peers[0].endpoint.has_value());
  CHECK(first.peers[0].keepalive == Duration(25s));
  carry_out(first, seen);
  CHECK(plan(config, seen, kNow).empty());
  peer(seen, 'a').endpoint = address("198.51.100.9:4000");
  CHECK(plan(config, seen, kNow).empty());
}

TEST_CASE("addresses that move go to their new owner in one step, before anybody loses any") {
  DeviceConfig config = wanted();
  std::swap(config.peers[0].allowed, config.peers[1].allowed);
  DeviceState seen = configured();
  const DeviceChange change = plan(config, seen, kNow);
  for (const PeerChange& each : change.peers) CHECK(each.mode == AllowedMode::extend);
  carry_out(change, seen);
  CHECK(plan(config, seen, kNow).empty());
}

TEST_CASE("an address that nobody takes over is taken away") {
  DeviceState seen = configured();
  peer(seen, 'a').allowed.push_back(prefix("fd00:9::/64"));
  const DeviceChange change = plan(wanted(), seen, kNow);
  REQUIRE(change.peers.size() == 1);
  CHECK(change.peers[0].mode == AllowedMode::replace);
  carry_out(change, seen);
  CHECK(plan(wanted(), seen, kNow).empty());
}

TEST_CASE("an announced key stands beside the old one, without addresses, until it is used") {
  DeviceConfig config = wanted();
  config.peers[0].next_key = key('n');
  DeviceState seen = configured();
  peer(seen, 'a').last_handshake = kNow;
  const DeviceChange announced = plan(config, seen, kNow);
  REQUIRE(announced.peers.size() == 1);
  CHECK(announced.peers[0].key == key('n'));
  CHECK(announced.peers[0].allowed.empty());
  CHECK_FALSE(announced.peers[0].endpoint.has_value());  // it calls, when it has taken the key
  CHECK_FALSE(announced.peers[0].keepalive.has_value());
  carry_out(announced, seen);
  CHECK(plan(config, seen, kNow).empty());
  CHECK(awaits_rotation(config, seen));

  peer(seen, 'n').last_handshake = kNow + 1s;
  const DeviceChange used = plan(config, seen, kNow + 1s);
  REQUIRE(used.peers.size() == 2);
  CHECK(used.peers[0].key == key('n'));
  CHECK(used.peers[0].allowed == config.peers[0].allowed);  // the old entry loses them by this
  CHECK(used.peers[0].keepalive == config.peers[0].keepalive);
  CHECK(used.peers[1] == PeerChange{.key = key('a'), .keepalive = Duration(0)});
  carry_out(used, seen);
  CHECK(peer(seen, 'a').allowed.empty());
  CHECK(plan(config, seen, kNow + 1s).empty());
  CHECK_FALSE(awaits_rotation(config, seen));

  config.peers[0].key = key('n');
  config.peers[0].next_key = std::nullopt;
  const DeviceChange ended = plan(config, seen, kNow + 2s);
  REQUIRE(ended.peers.size() == 1);
  CHECK(ended.peers[0] == PeerChange{.action = PeerAction::remove, .key = key('a')});
}

TEST_CASE("a node that came back with its old key is given its addresses back") {
  DeviceConfig config = wanted();
  config.peers[0].next_key = key('n');
  DeviceState seen = configured();
  carry_out(plan(config, seen, kNow), seen);
  peer(seen, 'n').last_handshake = kNow;
  carry_out(plan(config, seen, kNow), seen);
  peer(seen, 'a').last_handshake = kNow + 5s;
  carry_out(plan(config, seen, kNow + 5s), seen);
  CHECK(peer(seen, 'a').allowed == config.peers[0].allowed);
}

TEST_CASE("a record that changes its key without an announcement moves the addresses at once") {
  DeviceConfig config = wanted();
  config.peers[0].key = key('n');
  DeviceState seen = configured();
  const DeviceChange change = plan(config, seen, kNow);
  REQUIRE(change.peers.size() == 2);
  CHECK(change.peers[0].action == PeerAction::add);
  CHECK(change.peers[1].action == PeerAction::remove);
  carry_out(change, seen);
  CHECK(plan(config, seen, kNow).empty());
}

TEST_CASE("with a key of our own changed, every peer hears of it by a keepalive") {
  DeviceConfig config = wanted();
  config.key = own_key('l');
  DeviceState seen = configured();
  const DeviceChange first = plan(config, seen, kNow);
  CHECK(first.key == own_key('l'));
  REQUIRE(first.peers.size() == 2);
  for (const PeerChange& each : first.peers) CHECK(each.keepalive == Duration(0));
  carry_out(first, seen);
  const DeviceChange second = plan(config, seen, kNow);
  CHECK_FALSE(second.key.has_value());
  REQUIRE(second.peers.size() == 2);
  for (const PeerChange& each : second.peers) CHECK(each.keepalive == Duration(25s));
  carry_out(second, seen);
  CHECK(plan(config, seen, kNow).empty());
}
