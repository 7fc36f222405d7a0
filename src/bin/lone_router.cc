#include "bin/lone_router.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <iterator>

#include "async/combine.h"
#include "base/log.h"
#include "bin/role.h"
#include "bin/router_drain.h"
#include "config/router_config.h"
#include "crypto/aead.h"
#include "router/router.h"
#include "secrets/key_ring.h"
#include "sys/open_files.h"
#include "sys/posix_host.h"

namespace perigee::bin {
namespace {

constexpr std::size_t kPoolThreads = 2;
constexpr int kBacklog = 4096;

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

Result<std::vector<sys::Fd>> open_listeners(const std::vector<std::string>& addresses) {
  std::vector<sys::Fd> out;
  for (const std::string& text : addresses) {
    TRY(const sys::Address address, sys::Address::parse(text));
    TRY(sys::Fd fd, sys::listen_socket(address, kBacklog));
    out.push_back(std::move(fd));
  }
  return out;
}

Result<std::vector<sys::Fd>> open_datagram_sockets(const std::vector<std::string>& addresses) {
  std::vector<sys::Fd> out;
  for (const std::string& text : addresses) {
    TRY(const sys::Address address, sys::Address::parse(text));
    TRY(sys::Fd fd, sys::datagram_socket(address));
    out.push_back(std::move(fd));
  }
  return out;
}

// What it listens on, opened while it may bind low ports.
struct Opened {
  std::vector<sys::Fd> http;
  std::vector<sys::Fd> https;
  std::vector<sys::Fd> tcp;
  std::vector<sys::Fd> udp;
};

Result<Opened> open_all(const config::RouterConfig& file) {
  Opened out;
  TRY(out.http, open_listeners(file.http));
  TRY(out.https, open_listeners(file.https));
  TRY(out.tcp, open_listeners(file.tcp));
  TRY(out.udp, open_datagram_sockets(file.udp));
  return out;
}

Result<std::vector<std::unique_ptr<sys::Listener>>> adopt(sys::PosixHost& host,
                                                          std::vector<sys::Fd> fds) {
  std::vector<std::unique_ptr<sys::Listener>> out;
  for (sys::Fd& fd : fds) {
    TRY(auto listener, host.adopt_listener(std::move(fd)));
    out.push_back(std::move(listener));
  }
  return out;
}

Result<router::Listeners> adopt_all(sys::PosixHost& host, Opened opened) {
  router::Listeners out;
  TRY(out.http, adopt(host, std::move(opened.http)));
  TRY(out.https, adopt(host, std::move(opened.https)));
  TRY(out.tcp, adopt(host, std::move(opened.tcp)));
  for (sys::Fd& fd : opened.udp) {
    TRY(auto socket, host.adopt_datagrams(std::move(fd)));
    out.udp.push_back(std::move(socket));
  }
  return out;
}

// A file with a mistake changes nothing.
Result<void> reload(const std::string& path, const FixedRoutes& routes, router::Router& router) {
  TRY(const config::RouterConfig config, config::load_router_config(path));
  for (const std::string& warning : config.warnings) log_warning("router", "{}", warning);
  TRY(routing::TablePtr table, routes.table(config));
  router.set_routes(std::move(table));
  log_info("router", "{} read anew: {} apps", path, config.apps.size());
  return {};
}

async::Task<void> reload_on_signal(sys::PosixHost& host, const std::string& path,
                                   const FixedRoutes& routes, router::Router& router) {
  for (;;) {
    co_await host.wait_for_signal({SIGHUP});
    const Result<void> done = reload(path, routes, router);
    if (!done) log_error("router", "{}; what was read before stays", done.error().context);
  }
}

async::Task<void> live(sys::PosixHost& host, const std::string& path, const FixedRoutes& routes,
                       router::Router& router) {
  co_await async::first_of(host.loop(), drain_on_signal(host, router),
                           reload_on_signal(host, path, routes, router));
}

}  // namespace

Result<void> lone_router_main(const std::string& config_file) {
  TRY(const config::RouterConfig file, config::load_router_config(config_file));
  for (const std::string& warning : file.warnings) log_warning("router", "{}", warning);
  TRY(const auto host, sys::PosixHost::open(kPoolThreads));
  TRY_VOID(sys::raise_open_files());
  TRY(Opened opened, open_all(file));
  TRY_VOID(drop_privileges(file.uid, file.gid));
  const NodeId node(host_name());
  const FixedRoutes routes(host->host(), node);
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
  TRY(router::Listeners listeners, adopt_all(*host, std::move(opened)));
  log_info("router", "{} apps of {}", file.apps.size(), config_file);
  router::Router router(host->host(), std::move(config));
  host->loop().run(async::first_of(host->loop(), router.run(std::move(listeners)),
                                   live(*host, config_file, routes, router)));
  return {};
}

}  // namespace perigee::bin
