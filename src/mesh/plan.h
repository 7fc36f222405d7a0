// What has to change on a WireGuard device, and nothing else: peers that are as they should be are
// not mentioned, so that their sessions go on. Pure.
//
//   const DeviceChange change = plan(wanted, seen, host.clock.wall());
//
// - An endpoint is set where a peer is new, or where it is not the wanted one and the peer has been
//   out of contact for kContactLost: one that it has roamed to and answers from is left alone.
// - A peer that announces its next key is on the device twice; the second entry has no addresses,
//   and waits to be called. They move, in one step, when the next key has made the newer handshake:
//   the peer then uses it.
// - A new key of our own switches all keepalives off, and the next plan on again: at that WireGuard
//   sends at once, so that each peer learns our key without waiting for traffic.
#pragma once

#include "base/time.h"
#include "mesh/types.h"

namespace perigee::mesh {

DeviceChange plan(const DeviceConfig& wanted, const DeviceState& seen, WallTime now);

// Some peer's next key is not yet in use: to be looked at often (kRotationInterval).
bool awaits_rotation(const DeviceConfig& wanted, const DeviceState& seen);

}  // namespace perigee::mesh
