#include "mesh/plan.h"

#include <algorithm>
#include <map>
#include <set>

#include "mesh/limits.h"

namespace perigee::mesh {
namespace {

using Seen = std::map<PublicKey, const PeerState*>;

Seen by_key(const DeviceState& seen) {
  Seen out;
  for (const PeerState& peer : seen.peers) out.emplace(peer.key, &peer);
  return out;
}

const PeerState* find(const Seen& seen, const PublicKey& key) {
  const auto found = seen.find(key);
  return found == seen.end() ? nullptr : found->second;
}

bool uses_next_key(const WantedPeer& peer, const Seen& seen) {
  const PeerState* next = peer.next_key ? find(seen, *peer.next_key) : nullptr;
  if (next == nullptr || next->last_handshake == WallTime{}) return false;
  const PeerState* current = find(seen, peer.key);
  return current == nullptr || next->last_handshake > current->last_handshake;
}

// A peer that announces its next key becomes two: only the one in use has addresses. The other is
// not called: handshakes that cross would undo each other, and be made again 5 s later.
std::vector<WantedPeer> entries_of(const DeviceConfig& wanted, const Seen& seen) {
  std::vector<WantedPeer> out;
  for (const WantedPeer& peer : wanted.peers) {
    out.push_back(peer);
    if (!peer.next_key) continue;
    WantedPeer second = peer;
    second.key = *peer.next_key;
    WantedPeer& unused = uses_next_key(peer, seen) ? out.back() : second;
    unused.allowed.clear();
    unused.keepalive = Duration(0);
    unused.endpoint = std::nullopt;
    out.push_back(std::move(second));
  }
  return out;
}

std::vector<Prefix> sorted(std::vector<Prefix> prefixes) {
  std::ranges::sort(prefixes);
  return prefixes;
}

std::vector<Prefix> without(const std::vector<Prefix>& all, const std::vector<Prefix>& taken) {
  std::vector<Prefix> out;
  std::ranges::set_difference(sorted(all), sorted(taken), std::back_inserter(out));
  return out;
}

bool in_contact(const PeerState& seen, WallTime now) {
  return seen.last_handshake != WallTime{} && now - seen.last_handshake < kContactLost;
}

PeerChange addition(const WantedPeer& wanted) {
  PeerChange change{.action = PeerAction::add, .key = wanted.key};
  change.endpoint = wanted.endpoint;
  change.mode = AllowedMode::replace;
  change.allowed = wanted.allowed;
  if (wanted.keepalive != Duration(0)) change.keepalive = wanted.keepalive;
  return change;
}

// `moved`: prefixes that other entries of the same change take.
std::optional<PeerChange> update(const WantedPeer& wanted, const PeerState& seen,
                                 const std::vector<Prefix>& moved, WallTime now) {
  PeerChange change{.action = PeerAction::update, .key = wanted.key};
  if (wanted.endpoint && wanted.endpoint != seen.endpoint && !in_contact(seen, now)) {
    change.endpoint = wanted.endpoint;
  }
  if (wanted.keepalive != seen.keepalive) change.keepalive = wanted.keepalive;
  change.allowed = without(wanted.allowed, seen.allowed);
  if (!without(without(seen.allowed, wanted.allowed), moved).empty()) {
    change.mode = AllowedMode::replace;
    change.allowed = wanted.allowed;
  }
  const bool same = !change.endpoint && !change.keepalive && change.allowed.empty() &&
                    change.mode == AllowedMode::extend;
  if (same) return std::nullopt;
  return change;
}

std::vector<Prefix> moved_prefixes(const std::vector<WantedPeer>& entries, const Seen& seen) {
  std::vector<Prefix> moved;
  for (const WantedPeer& entry : entries) {
    const PeerState* peer = find(seen, entry.key);
    const auto gained = peer == nullptr ? entry.allowed : without(entry.allowed, peer->allowed);
    moved.insert(moved.end(), gained.begin(), gained.end());
  }
  return moved;
}

void add_removals(DeviceChange& change, const std::vector<WantedPeer>& entries,
                  const DeviceState& seen) {
  std::set<PublicKey> kept;
  for (const WantedPeer& entry : entries) kept.insert(entry.key);
  for (const PeerState& peer : seen.peers) {
    if (kept.contains(peer.key)) continue;
    change.peers.push_back({.action = PeerAction::remove, .key = peer.key});
  }
}

// See plan.h: the next plan switches them on again.
void switch_keepalives_off(DeviceChange& change, const DeviceState& seen) {
  for (const PeerState& peer : seen.peers) {
    const auto known = std::ranges::find(change.peers, peer.key, &PeerChange::key);
    if (known == change.peers.end()) {
      change.peers.push_back({.key = peer.key, .keepalive = Duration(0)});
    } else if (known->action == PeerAction::update) {
      known->keepalive = Duration(0);
    }
  }
}

}  // namespace

DeviceChange plan(const DeviceConfig& wanted, const DeviceState& seen, WallTime now) {
  const Seen known = by_key(seen);
  const std::vector<WantedPeer> entries = entries_of(wanted, known);
  const std::vector<Prefix> moved = moved_prefixes(entries, known);
  DeviceChange change;
  std::vector<PeerChange> others;
  if (wanted.key != seen.key) change.key = wanted.key;
  if (wanted.listen_port != seen.listen_port) change.listen_port = wanted.listen_port;
  for (const WantedPeer& entry : entries) {
    const PeerState* peer = find(known, entry.key);
    if (peer == nullptr) {
      change.peers.push_back(addition(entry));
    } else if (auto different = update(entry, *peer, moved, now)) {
      (different->allowed.empty() ? others : change.peers).push_back(*std::move(different));
    }
  }
  // Takers come before those that lose: no address is without an owner for a moment.
  change.peers.insert(change.peers.end(), others.begin(), others.end());
  add_removals(change, entries, seen);
  if (change.key && seen.key) switch_keepalives_off(change, seen);
  return change;
}

bool awaits_rotation(const DeviceConfig& wanted, const DeviceState& seen) {
  const Seen known = by_key(seen);
  return std::ranges::any_of(wanted.peers, [&known](const WantedPeer& peer) {
    return peer.next_key.has_value() && !uses_next_key(peer, known);
  });
}

}  // namespace perigee::mesh
