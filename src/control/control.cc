#include "control/control.h"

#include "api/endpoint.h"
#include "api/tokens.h"
#include "async/task_group.h"
#include "base/log.h"
#include "control/app_api.h"
#include "control/blob_api.h"
#include "control/callers.h"
#include "control/certificate_api.h"
#include "control/egress_api.h"
#include "control/exec_api.h"
#include "control/explain_api.h"
#include "control/fleet.h"
#include "control/fleet_api.h"
#include "control/internal_api.h"
#include "control/ip_api.h"
#include "control/lease_api.h"
#include "control/led_tasks.h"
#include "control/limits.h"
#include "control/log_api.h"
#include "control/machine_api.h"
#include "control/machine_order_api.h"
#include "control/machine_watch_api.h"
#include "control/metadata_api.h"
#include "control/node_api.h"
#include "control/registry_api.h"
#include "control/release_api.h"
#include "control/resealer.h"
#include "control/router_api.h"
#include "control/scale_api.h"
#include "control/secret_api.h"
#include "control/shared_images.h"
#include "control/volume_api.h"
#include "crypto/hash.h"
#include "http/server.h"

namespace perigee::control {
namespace {

constexpr std::size_t kEpochBytes = 8;
constexpr std::string_view kAdmin = "admin";

bool is_alone(const ControlConfig& config) {
  return config.store.engine == config::StoreConfig::Engine::sqlite;
}

LeadershipConfig leadership_of(sys::Host& host, const ControlConfig& config) {
  using Controls = LeadershipConfig::Controls;
  return {.controls = is_alone(config) ? Controls::one : Controls::many,
          .node = config.node,
          .process = sys::random_hex(host.entropy, kEpochBytes)};
}

}  // namespace

struct Control::Parts {
  Parts(sys::Host& h, const ControlConfig& config, ControlParts given);

  sys::Host& host;
  Changes changes;
  DesiredTable desired;
  ObservedTable observed;
  LoadTable loads;
  Drains drains;
  WakeRefusals refusals;
  Publisher publisher;
  ControlPeers peers;
  RouteSharing sharing;
  KeySharing key_sharing;
  SharedImages images;
  Context context;

  AppApi apps{context};
  EgressApi egress{context};
  IpApi ips;
  CertificateApi certificates;
  MachineApi machines{context};
  MachineOrderApi machine_orders{context};
  MachineWatchApi machine_watch{context};
  VolumeApi volumes{context};
  LeaseApi leases{context};
  MetadataApi metadata{context};
  ReleaseApi releases{context};
  BlobApi blobs{context};
  LogApi logs{context};
  ExplainApi explain{context};
  ExecApi execs{context};
  NodeApi nodes{context};
  ScaleApi scales{context};
  SecretApi secrets{context};
  RegistryApi registries{context};
  Callers callers;
  Fleet fleet;
  FleetApi fleet_api{context, fleet, callers};
  Resealer resealer{context, fleet};
  InternalApi internal{context, callers, peers, images};
  RouterApi routers{context, callers, peers};
  LedTasks led_tasks;

  api::Tokens tokens;
  api::RouteTable public_routes;
  api::RouteTable internal_routes;
  api::Endpoint public_endpoint{"api", public_routes};
  api::Endpoint internal_endpoint{"control", internal_routes, kMaxReportBytes};
  http::Server public_server;
  http::Server internal_server;
  async::TaskGroup tasks;
};

Control::Parts::Parts(sys::Host& h, const ControlConfig& config, ControlParts given)
    : host(h),
      changes(h.loop),
      desired(h.loop, given.store, changes),
      observed(h.loop, changes, config.silence.lost),
      loads(h.loop, config.autostop_idle),
      drains(changes),
      publisher(h.loop, desired, observed, drains, given.keys, changes,
                sys::random_hex(h.entropy, kEpochBytes), config.domain),
      peers(h, desired, config.node, config.link_socket),
      sharing(peers, desired, drains, publisher, changes.notify()),
      key_sharing(peers, given.keys, given.certificates),
      images(given.images, peers),
      context{h,
              desired,
              observed,
              changes.notify(),
              publisher,
              sharing,
              images,
              given.worker,
              given.routers,
              given.certificates,
              given.keys,
              key_sharing,
              loads,
              drains,
              refusals,
              config.autostop_idle,
              config.silence,
              config.times,
              given.authority,
              policy_of(config.acme)},
      ips(context, config.address_prefixes),
      certificates(context, config.domain),
      callers(desired, {.own = config.own_uid, .router = config.router_uid}),
      fleet(context, config.certificate_life,
            is_alone(config) ? Fleet::Store::of_one_control : Fleet::Store::shared),
      led_tasks(context, given.store, fleet, leadership_of(h, config)),
      public_server(h, public_endpoint, {}),
      internal_server(h, internal_endpoint, {}),
      tasks(h.loop) {
  const api::Guard token = tokens.guard();
  apps.add_routes(public_routes, token);
  egress.add_routes(public_routes, token);
  ips.add_routes(public_routes, token);
  certificates.add_routes(public_routes, token);
  machines.add_routes(public_routes, token);
  machine_orders.add_routes(public_routes, token);
  machine_watch.add_routes(public_routes, token);
  volumes.add_routes(public_routes, token);
  leases.add_routes(public_routes, token);
  metadata.add_routes(public_routes, token);
  releases.add_routes(public_routes, token);
  blobs.add_routes(public_routes, token);
  logs.add_routes(public_routes, token);
  explain.add_routes(public_routes, token);
  execs.add_routes(public_routes, token);
  nodes.add_routes(public_routes, token);
  scales.add_routes(public_routes, token);
  secrets.add_routes(public_routes, token);
  registries.add_routes(public_routes, token);
  resealer.add_routes(public_routes, token);
  fleet_api.add_routes(public_routes, token);
  fleet_api.add_internal_routes(internal_routes);
  internal.add_routes(internal_routes);
  routers.add_routes(internal_routes);
}

Control::Control(sys::Host& host, ControlConfig config, ControlParts parts)
    : parts_(std::make_unique<Parts>(host, config, parts)) {}
Control::~Control() = default;

async::Task<Result<void>> Control::load(std::string admin_token) {
  Parts& p = *parts_;
  CO_TRY_VOID(co_await p.desired.load());
  p.tasks.spawn(p.desired.follow());
  p.fleet.set_api_token(admin_token);
  const TokenRecord admin{crypto::sha256_hex(admin_token), p.host.clock.wall()};
  const auto found = p.desired.tokens().find(std::string(kAdmin));
  if (found == p.desired.tokens().end() || found->second.value.sha256 != admin.sha256) {
    store::Transaction transaction;
    transaction.put(token_key(kAdmin), to_json(admin).dump());
    CO_TRY_VOID(co_await p.desired.commit(std::move(transaction)));
  }
  std::vector<std::string> hashes;
  for (const auto& [name, stored] : p.desired.tokens()) hashes.push_back(stored.value.sha256);
  p.tokens.replace(std::move(hashes));
  co_return Result<void>();
}

async::Task<void> Control::run(std::vector<std::unique_ptr<sys::Listener>> api,
                               std::unique_ptr<sys::Listener> internal) {
  Parts& p = *parts_;
  p.tasks.spawn(p.publisher.run());
  p.tasks.spawn(p.observed.expire());
  p.tasks.spawn(p.peers.catch_up(p.observed));
  p.tasks.spawn(p.sharing.run());
  p.tasks.spawn(p.led_tasks.run());
  p.tasks.spawn(p.internal_server.serve(std::move(internal)));
  for (auto& listener : api) {
    log_info("control", "API on {}", listener->local());
    p.tasks.spawn(p.public_server.serve(std::move(listener)));
  }
  co_await p.tasks.drained();
}

}  // namespace perigee::control
