#include "bin/lone_router.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <iterator>

#include "async/combine.h"
#include "async/task_group.h"
#include "base/log.h"
#include "bin/lone_sockets.h"
#include "bin/reload.h"
#include "bin/role.h"
#include "bin/router_crew.h"
#include "bin/router_drain.h"
#include "config/router_config.h"
#include "crypto/aead.h"
#include "router/router.h"
#include "secrets/key_ring.h"
#include "supervisor/successor.h"
#include "supervisor/supervisor.h"
#include "sys/cores.h"
#include "sys/open_files.h"
#include "sys/posix_host.h"
#include "sys/service_manager.h"

namespace perigee::bin {
namespace {

constexpr std::size_t kPoolThreads = 2;

std::vector<int> signals() {
  return {SIGTERM, SIGINT, SIGHUP, SIGUSR2, supervisor::kHandOver};
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) < 0 ? "router" : name.data();
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) return fail(errno_error(errno, "read " + path));
  return std::string{std::istreambuf_iterator<char>(file), {}};
}

// The file's apps as a router's table. The keys of certificates are sealed for the way from here to
// there, as they are in a fleet, by a ring that nobody else has.
class FixedRoutes {
 public:
  FixedRoutes(sys::Host& host, NodeId node)
      : host_(host),
        node_(std::move(node)),
        ring_(secrets::KeyRing::create(host.entropy, host.clock.wall())) {}

  secrets::KindKeys keys() const { return ring_.keys_of(secrets::Kind::certificate_key); }

  Result<routing::TablePtr> table(const config::RouterConfig& config) const {
    auto table = std::make_shared<routing::RouteTable>();
    for (const config::FixedApp& app : config.apps) {
      TRY_AS(model::AppRoute route, route_of(app, config), "app " + app.name.str());
      table->set_app(std::make_shared<const model::AppRoute>(std::move(route)));
    }
    return table;
  }

 private:
  Result<model::AppRoute> route_of(const config::FixedApp& app,
                                   const config::RouterConfig& config) const {
    std::vector<model::RouteCertificate> certificates;
    for (const config::CertificateFiles& files : app.certificates) {
      TRY(model::RouteCertificate read, read_certificate(app, files));
      certificates.push_back(std::move(read));
    }
    return config::route_of(app, config, node_, std::move(certificates));
  }

  Result<model::RouteCertificate> read_certificate(const config::FixedApp& app,
                                                   const config::CertificateFiles& files) const {
    TRY(std::string chain, read_file(files.certificate));
    TRY(std::string key, read_file(files.private_key));
    // Refused here, where the former routes can go on, and not when a client comes.
    TRY(const auto trial, crypto::TlsServer::create());
    TRY_VOID_AS(trial->set_certificate(app.hosts.front(), chain, key), files.certificate);
    auto sealed =
        ring_.seal({secrets::Kind::certificate_key, app.hosts.front()}, key, host_.entropy);
    crypto::wipe(key);
    if (!sealed) return fail(std::move(sealed).error());
    return model::RouteCertificate{
        .hosts = app.hosts, .chain_pem = std::move(chain), .private_key = *std::move(sealed)};
  }

  sys::Host& host_;
  NodeId node_;
  secrets::KeyRing ring_;
};

// A file with a mistake changes nothing.
Result<void> reload(const std::string& path, const FixedRoutes& routes, RouterCrew& routers) {
  TRY(const config::RouterConfig config, config::load_router_config(path));
  for (const std::string& warning : config.warnings) log_warning("router", "{}", warning);
  TRY(const routing::TablePtr table, routes.table(config));
  routers.set_routes(table);
  log_info("router", "{} read anew: {} apps", path, config.apps.size());
  return {};
}

async::Task<void> reload_on_signal(sys::PosixHost& host, const std::string& path,
                                   const FixedRoutes& routes, RouterCrew& routers) {
  for (;;) {
    co_await host.wait_for_signal({SIGHUP});
    const Result<void> done = reload(path, routes, routers);
    if (!done) log_error("router", "{}; what was read before stays", done.error().context);
  }
}

// Runs the program anew, beside this process.
sys::Spawn spawn_of(const std::string& program, const std::string& config_file,
                    const LoneSockets& sockets) {
  sys::Spawn spawn{.argv = {program, "router", "--config", config_file}};
  spawn.held_signals = signals();
  sockets.pass_to(spawn);
  return spawn;
}

// Until a successor serves.
async::Task<void> succeed_on_signal(sys::PosixHost& host, const sys::Spawn& spawn) {
  for (;;) {
    co_await host.wait_for_signal({SIGUSR2});
    log_info("router", "starting {} to take over", spawn.argv.front());
    const auto successor = co_await supervisor::start_successor(host, spawn);
    if (successor) {
      sys::tell_service_manager(fmt::format("MAINPID={}", (*successor)->pid()));
      co_return;
    }
    log_error("router", "{}: {}; process {} serves on", spawn.argv.front(),
              successor.error().context, ::getpid());
  }
}

struct Life {
  sys::PosixHost& host;
  const std::string& config_file;
  const FixedRoutes& routes;
  const LoneSockets& sockets;
  RouterCrew& routers;
  std::string program;
  Duration drain;
};

async::Task<void> live(const Life& life) {
  const sys::Spawn spawn = spawn_of(life.program, life.config_file, life.sockets);
  const Drain drain = [&life](Deadline deadline, router::Successor successor) {
    return life.routers.drain(deadline, successor);
  };
  async::TaskGroup reloading(life.host.loop());
  reloading.spawn(reload_on_signal(life.host, life.config_file, life.routes, life.routers));
  const auto ended =
      co_await async::first_of(life.host.loop(), drain_on_signal(life.host, drain, life.drain),
                               succeed_on_signal(life.host, spawn));
  if (ended == async::Winner::second) co_await hand_over(life.host, drain, life.drain);
}

Result<router::Config> router_config(const config::RouterConfig& file, const NodeId& node,
                                     const FixedRoutes& routes) {
  router::Config config;
  config.node = node;
  config.region = file.region;
  config.domain = file.domain;
  config.access_log = file.access_log;
  config.certificate_keys = routes.keys();
  TRY(config.routes, routes.table(file));
  TRY(config.proxy_from, prefixes_of(file.proxy_from));
  if (file.connections_per_client > 0) {
    config.connections_per_client = static_cast<std::size_t>(file.connections_per_client);
  }
  return config;
}

void say_ready() {
  supervisor::report_ready();
  sys::tell_service_manager("READY=1");
}

}  // namespace

Result<void> lone_router_main(const std::string& config_file) {
  sys::hold_signals(signals());
  const std::string program = own_program();
  TRY(const config::RouterConfig file, config::load_router_config(config_file));
  for (const std::string& warning : file.warnings) log_warning("router", "{}", warning);
  TRY(const auto host, sys::PosixHost::open(kPoolThreads));
  TRY_VOID(sys::raise_open_files());
  const std::size_t threads = file.threads == 0 ? sys::usable_cores() : file.threads;
  TRY(const LoneSockets sockets, LoneSockets::open(file, threads));
  TRY_VOID(drop_privileges(file.uid, file.gid));
  const NodeId node(host_name());
  const FixedRoutes routes(host->host(), node);
  TRY(const router::Config config, router_config(file, node, routes));
  log_info("router", "{} apps of {}, {} threads", file.apps.size(), config_file, threads);
  TRY(const auto routers, RouterCrew::open(*host, threads,
                                           {.config = [&config] { return config; },
                                            .listeners =
                                                [&](sys::PosixHost& own, std::size_t number) {
                                                  return sockets.listeners(own, number, threads);
                                                },
                                            .on_serving = say_ready}));
  const Life life{*host, config_file, routes, sockets, *routers, program, file.drain};
  host->loop().run(async::first_of(host->loop(), routers->run(), live(life)));
  return {};
}

}  // namespace perigee::bin
