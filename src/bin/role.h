// What every role's main has in common: the paths, the node's configuration, the listeners that the
// supervisor passed on, and the end by SIGTERM.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/node_config.h"
#include "config/paths.h"
#include "sys/ip_prefix.h"
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
  // The sockets of UDP of that name, taken over.
  Result<std::vector<std::unique_ptr<sys::Datagrams>>> take_datagrams(const std::string& name);
};

// Networks of the configuration.
Result<std::vector<sys::IpPrefix>> prefixes_of(const std::vector<std::string>& texts);

// Each returns when the role has ended in order.
Result<void> control_main(RoleContext context);
Result<void> worker_main(RoleContext context);
Result<void> router_main(RoleContext context);
Result<void> link_main(RoleContext context);

// Runs `role` until SIGTERM or SIGINT, then cancels it. The role's own error ends it at once.
Result<void> run_until_terminated(sys::PosixHost& host, async::Task<Result<void>> role);

// What is left of root's privileges: nothing, or the right to bind ports below 1024, which a router
// needs to answer by UDP from addresses that it has not bound before.
enum class Keep { nothing, low_ports };
// SAFETY: gives up root for good: no groups, no way back (no_new_privs). Checked afterwards.
Result<void> drop_privileges(uid_t uid, gid_t gid, Keep keep = Keep::nothing);

}  // namespace perigee::bin
