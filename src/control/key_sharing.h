// KeySharing: one key ring for all controls of a fleet. What one seals, each must open: a new key
// is in every control's ring before it counts as made, and one that is retired goes everywhere.
// Nodes without control are told by their feed (publisher.h). Owned by Control, on its loop.
#pragma once

#include <string>

#include "control/certificates.h"
#include "control/control_peers.h"
#include "secrets/key_file.h"

namespace perigee::control {

class KeySharing {
 public:
  KeySharing(ControlPeers& peers, secrets::KeyFile& keys, Certificates& certificates)
      : peers_(peers), keys_(keys), certificates_(certificates) {}

  // unavailable where a control does not answer, which then could not take a new key.
  async::Task<Result<void>> check_all_answer();
  // Gives the others this control's ring, as it is now.
  async::Task<Result<void>> share();
  // Another control's ring in place of ours, and our own files sealed with its primary key.
  // conflict where it lacks the key that seals here.
  async::Task<Result<void>> take(std::string ring);

 private:
  async::Task<Result<void>> give(NodeId control);

  ControlPeers& peers_;
  secrets::KeyFile& keys_;
  Certificates& certificates_;
};

}  // namespace perigee::control
