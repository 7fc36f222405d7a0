// What comes next on a node's way to a new WireGuard key (docs/decisions/0019-mesh.md). Pure: from
// the keys on disk and the node's record, so that a link that is killed anywhere goes on from
// there.
//
//   const KeyDecision next = next_key_step(keys, own_membership, times, host.clock.wall());
//
// Link carries the steps out.
#pragma once

#include "base/time.h"
#include "mesh/key_file.h"
#include "model/fleet.h"

namespace perigee::link {

struct KeyTimes {
  Duration life = 90 * 24h;     // a key is changed when it is so old, or when an operator wants it
  Duration announcement = 60s;  // a next key is known for so long before it is used
};

enum class KeyStep {
  rest,      // nothing is due
  prepare,   // make the next key
  announce,  // the record is to say what the file says
  take,      // the next key becomes the key
};

struct KeyDecision {
  KeyStep step = KeyStep::rest;
  Duration pause{};  // of rest: look again by then, if nothing changes before
  bool operator==(const KeyDecision&) const = default;
};

KeyDecision next_key_step(const mesh::NodeKeys& keys, const model::Membership& record,
                          const KeyTimes& times, WallTime now);

}  // namespace perigee::link
