// Unsealer: opens what desired state carries sealed, where the worker itself needs it: a machine's
// secrets just before its VM is booted, a volume's key when its disk is made and when it is booted
// with, a registry's password before an image is prepared. One per worker; reads the node's key
// ring when it is first needed, so that machines boot whether control is there or not.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "async/task.h"
#include "model/registry.h"
#include "model/types.h"
#include "model/volume.h"
#include "secrets/key_file.h"
#include "sys/host.h"

namespace perigee::worker {

class Unsealer {
 public:
  Unsealer(sys::Host& host, std::string key_ring) : host_(host), path_(std::move(key_ring)) {}

  // "NAME=VALUE" of each.
  async::Task<Result<std::vector<std::string>>> app_secrets(model::Machine machine);
  // Empty where the volume is not encrypted.
  async::Task<Result<std::string>> volume_key(model::Volume volume);
  async::Task<Result<std::string>> registry_password(model::RegistryLogin login);

 private:
  async::Task<Result<std::string>> open(secrets::Place place, std::string sealed);

  sys::Host& host_;
  std::string path_;
  std::unique_ptr<secrets::KeyFile> keys_;
};

// The ids of the keys that these are sealed with: the ring must keep them.
void add_sealing_keys(const model::Machine& machine, std::set<std::string>& keys);
void add_sealing_keys(const model::Volume& volume, std::set<std::string>& keys);
void add_sealing_keys(const model::RegistryLogin& login, std::set<std::string>& keys);

}  // namespace perigee::worker
