// Composes control over the node's state directory.
#include <unistd.h>

#include "bin/role.h"
#include "control/control.h"

namespace perigee::bin {

Result<void> control_main(RoleContext context) {
  control::ControlConfig config;
  config.node = context.node.node;
  config.link_socket = context.paths.socket("link");
  config.domain = context.node.domain;
  config.own_uid = ::geteuid();
  config.router_uid = context.node.router_uid;
  TRY(config.address_prefixes, prefixes_of(context.node.address_prefixes));
  config.store = context.node.store;
  config.acme = context.node.acme;
  config.autostop_idle = context.node.autostop_idle;
  config.times.listen = context.node.listen_timeout;
  config.times.elsewhere = context.node.wrong_port_timeout;
  config.silence.given_up = context.node.lost_after;
  config.certificate_life = context.node.certificate_life;
  control::ControlListeners listeners;
  TRY(listeners.api, context.take_listeners("api"));
  TRY(listeners.internal, context.take_listener("internal"));
  return run_until_terminated(
      context.host, control::run_control(context.host.host(), context.paths, std::move(config),
                                         std::move(listeners)));
}

}  // namespace perigee::bin
