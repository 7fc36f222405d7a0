// Composes the router, without privileges: the supervisor opened its listeners, and the one
// directory it may write is its own. Where it serves whole networks it keeps one, to bind low
// ports; what steers their ports to it stays open with the context (supervisor/prefix_sockets.h).
#include "async/combine.h"
#include "base/log.h"
#include "bin/role.h"
#include "bin/router_drain.h"
#include "router/router.h"
#include "secrets/key_file.h"
#include "supervisor/successor.h"
#include "sys/open_files.h"

namespace perigee::bin {
namespace {

// Read while we are root: what opens the keys of certificates, and nothing that opens more. Without
// the ring control tells it later.
secrets::KindKeys certificate_keys(RoleContext& context) {
  const auto ring = context.host.loop().run(
      secrets::KeyFile::open(context.host.host(), context.paths.key_ring()));
  if (ring) return (*ring)->ring().keys_of(secrets::Kind::certificate_key);
  log_warning("router", "{}; asking control for the keys of certificates", ring.error().context);
  return secrets::KindKeys(secrets::Kind::certificate_key);
}

}  // namespace

Result<void> router_main(RoleContext context) {
  router::Config config;
  config.certificate_keys = certificate_keys(context);
  TRY_VOID(sys::raise_open_files());
  const Keep keep = context.node.address_prefixes.empty() ? Keep::nothing : Keep::low_ports;
  TRY_VOID(drop_privileges(context.node.router_uid, context.node.router_gid, keep));
  config.node = context.node.node;
  config.region = context.node.region;
  config.domain = context.node.domain;
  TRY(const auto control, sys::Address::unix_path(context.paths.socket("control")));
  config.control = control;
  config.snapshot_path = context.paths.router_state() + "/routes.json";
  config.access_log = context.paths.router_state() + "/access.log";
  TRY(config.proxy_from, prefixes_of(context.node.proxy_from));
  if (const int bound = context.node.connections_per_client; bound > 0) {
    config.connections_per_client = static_cast<std::size_t>(bound);
  }
  if (supervisor::takes_over()) config.routes_patience = router::kFirstRoutes;
  config.on_serving = supervisor::report_ready;
  router::Listeners listeners;
  TRY(listeners.http, context.take_listeners("http"));
  TRY(listeners.https, context.take_listeners("https"));
  TRY(listeners.tcp, context.take_listeners("tcp"));
  TRY(listeners.udp, context.take_datagrams("udp"));
  TRY(listeners.backhaul, context.take_listeners("backhaul"));
  TRY(listeners.status, context.take_listener("internal"));
  router::Router router(context.host.host(), std::move(config));
  async::Loop& loop = context.host.loop();
  const auto drain = [&router](Deadline deadline, router::Successor successor) {
    return router.drain(deadline, successor);
  };
  loop.run(async::first_of(loop, router.run(std::move(listeners)),
                           drain_on_signal(context.host, drain, context.node.router_drain)));
  return {};
}

}  // namespace perigee::bin
