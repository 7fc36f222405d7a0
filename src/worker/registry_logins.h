// RegistryLogins: what registries are shown when this node pulls from them, as control's feed has
// it; kept on disk, sealed, so that a worker that starts without control can pull as well. Owned by
// Worker.
//
//   <state>/registries.json   [model::RegistryLogin …], written whole and synced
#pragma once

#include <map>
#include <set>
#include <string>

#include "async/event.h"
#include "async/task_group.h"
#include "image/image.h"
#include "model/registry.h"
#include "sys/host.h"
#include "worker/unsealer.h"

namespace perigee::worker {

class RegistryLogins {
 public:
  RegistryLogins(sys::Host& host, std::string path, Unsealer& unsealer);

  // What an earlier worker kept; from here on changes are.
  async::Task<Result<void>> load();
  // What control says.
  void want(model::RegistryLogin login);
  void gone(const std::string& registry);
  void synced(const std::set<std::string>& known);

  // Empty for a registry without one.
  async::Task<Result<image::Login>> login_for(std::string registry);
  void add_sealing_keys(std::set<std::string>& keys) const;

 private:
  static async::Task<void> keep(RegistryLogins& self);
  async::Task<Result<void>> save();
  void changed();

  sys::Host& host_;
  std::string path_;
  Unsealer& unsealer_;
  std::map<std::string, model::RegistryLogin> logins_;
  bool dirty_ = false;
  async::Notify dirtied_;
  async::TaskGroup tasks_;
};

}  // namespace perigee::worker
