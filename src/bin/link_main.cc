// Composes the link: this node's place in its fleet.
#include <unistd.h>

#include <filesystem>

#include "base/log.h"
#include "bin/role.h"
#include "link/link.h"
#include "sys/long_paths.h"

namespace perigee::bin {

Result<void> link_main(RoleContext context) {
  link::Config config;
  config.node = context.node.node;
  config.region = context.node.region;
  config.roles = context.node.roles;
  config.endpoint = context.node.fleet_endpoint;
  config.mesh_port = context.node.mesh_port;
  config.key_times = {.life = context.node.key_life, .announcement = context.node.key_announcement};
  config.users = {.own = ::geteuid(), .router = context.node.router_uid};
  TRY(config.control_socket, sys::Address::unix_path(context.paths.socket("control")));
  TRY(config.own_control, sys::Address::unix_path(context.paths.own_control_socket()));
  TRY(config.worker_socket, sys::Address::unix_path(context.paths.socket("worker")));
  TRY(config.router_socket, sys::Address::unix_path(context.paths.socket("router")));
  config.identity_path = context.paths.identity();
  config.mesh_key_path = context.paths.mesh_key();
  config.node_ring = context.paths.node_ring();
  config.key_ring = context.paths.key_ring();
  const std::string interface = mesh::interface_name(context.paths.state);
  config.mesh = {.interface = interface, .log = context.paths.log + "/wireguard.log"};
  if (const auto ready = sys::prepare_for_long_paths(); !ready) {
    log_warning("link", "{}: nodes that are far away get less of the path", ready.error().context);
  }
  link::Listeners listeners;
  TRY(listeners.fleet, context.take_listeners("fleet"));
  TRY(listeners.internal, context.take_listener("internal"));
  TRY(listeners.control, context.take_listener("control"));
  link::Link link(context.host.host(), std::move(config));
  TRY_VOID(run_until_terminated(context.host, link.run(std::move(listeners))));
  if (!std::filesystem::exists(context.paths.down_marker())) return {};  // the mesh carries on
  log_info("link", "leaving the mesh");
  return context.host.loop().run(mesh::remove_device(context.host.host(), interface));
}

}  // namespace perigee::bin
