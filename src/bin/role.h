// What every role's main has in common: the paths, the node's configuration, the listeners that the
// supervisor passed on, and the end by SIGTERM.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/node_config.h"
#include "config/paths.h"
#include "sys/posix_host.h"

namespace perigee::bin {

struct RoleContext {
  sys::PosixHost& host;
  config::Paths paths;
  config::NodeConfig node;
  std::multimap<std::string, sys::Fd> listeners;

  // The listeners of that name, taken over.
  Result<std::vector<std::unique_ptr<sys::Listener>>> take_listeners(const std::string& name);
  // The one listener of that name.
  Result<std::unique_ptr<sys::Listener>> take_listener(const std::string& name);
};

// Each returns when the role has ended in order.
Result<void> control_main(RoleContext context);
Result<void> worker_main(RoleContext context);
Result<void> router_main(RoleContext context);
Result<void> link_main(RoleContext context);

// Runs `role` until SIGTERM or SIGINT, then cancels it. The role's own error ends it at once.
Result<void> run_until_terminated(sys::PosixHost& host, async::Task<Result<void>> role);

// SAFETY: gives up root for good: no groups, no way back (no_new_privs). Checked afterwards.
Result<void> drop_privileges(uid_t uid, gid_t gid);

}  // namespace perigee::bin
