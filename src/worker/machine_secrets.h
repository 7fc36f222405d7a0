// MachineSecrets: opens the secrets that a machine's desired state carries sealed, just before its
// VM is booted. One per worker; reads the node's key ring when it is first needed, so that machines
// boot with their secrets whether control is there or not.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "async/task.h"
#include "model/types.h"
#include "secrets/key_file.h"
#include "sys/host.h"

namespace perigee::worker {

class MachineSecrets {
 public:
  MachineSecrets(sys::Host& host, std::string key_ring) : host_(host), path_(std::move(key_ring)) {}

  // "NAME=VALUE" of each.
  async::Task<Result<std::vector<std::string>>> open(model::Machine machine);

 private:
  sys::Host& host_;
  std::string path_;
  std::unique_ptr<secrets::KeyFile> keys_;
};

// The ids of the keys that a machine's secrets are sealed with: the ring must keep them.
void add_sealing_keys(const model::Machine& machine, std::set<std::string>& keys);

}  // namespace perigee::worker
