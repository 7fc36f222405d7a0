#include "router/router.h"

#include <algorithm>
#include <set>
#include <utility>

#include "async/combine.h"
#include "async/task_group.h"
#include "backhaul/client.h"
#include "backhaul/server.h"
#include "base/check.h"
#include "base/log.h"
#include "crypto/tls.h"
#include "http/server.h"
#include "http2/protocol.h"
#include "router/access_log.h"
#include "router/backhaul_handler.h"
#include "router/certificate_keeper.h"
#include "router/datagram_carrier.h"
#include "router/dialer.h"
#include "router/limits.h"
#include "router/load_reporter.h"
#include "router/port_http.h"
#include "router/prepared_listener.h"
#include "router/proxy.h"
#include "router/route_feed.h"
#include "router/route_file.h"
#include "router/route_store.h"
#include "router/status.h"
#include "router/tcp_proxy.h"
#include "router/tls_passage.h"
#include "router/told_client.h"
#include "router/upstreams.h"
#include "router/waker.h"

namespace perigee::router {
namespace {

int port_of(const std::vector<std::unique_ptr<sys::Listener>>& listeners, int configured,
            int fallback) {
  if (configured != 0) return configured;
  return listeners.empty() ? fallback : listeners.front()->local().port();
}

// Where an app's requests may go: what the client may keep connections to.
std::set<std::string> upstream_addresses(const routing::RoutePtr& route) {
  std::set<std::string> all;
  if (route == nullptr) return all;
  for (const model::RouteTarget& target : route->targets) {
    if (target.state != model::MachineState::started) continue;
    all.insert(target.machine.str() + " " + target.instance_id + " " + target.address);
  }
  return all;
}

}  // namespace

struct Router::Parts {
  Parts(sys::Host& h, Config c)
      : host(h),
        config(std::move(c)),
        state(h.loop, config.occupancy),
        file(h, config.snapshot_path, store),
        upstream(h, {.connect_timeout = kConnectTimeout}),
        nodes(h, config.node.str(), config.backhaul_port),
        load_feed(h, nodes, state.remote_loads),
        teller(h.loop, state.loads),
        backhaul_handler(h, state, upstream, nodes, teller, config.node.str()),
        backhaul_server(h, backhaul_handler, backhaul_handler,
                        [this](const sys::Address& peer) { return is_node(peer); }),
        waker(h, state, control(), config.region.str()),
        datagrams(h, state, nodes, waker, config.node.str(), config.backhaul_port),
        dialer(
            h, state, nodes, waker, config.node.str(),
            {.reach = config.reach_bound, .wake = config.wake_bound, .queue = config.queue_bound}),
        loads(h, state, store, control(), config.node.str()),
        log(h, config.access_log, state.counters.log_lines_dropped),
        http2(state.http2),
        stopped(h.loop),
        chores(h.loop),
        tasks(h.loop) {
    state.loads.on_change([this](const std::string& machine) {
      teller.changed(machine);
      state.queue.freed(machine);
    });
    state.remote_loads.on_change(
        [this](const std::string& machine) { state.queue.freed(machine); });
    freed_elsewhere = config.occupancy->on_freed(
        h.loop, [this](const std::string& machine) { state.queue.freed(machine); });
  }

  static async::Task<void> run(std::shared_ptr<Parts> parts, Listeners listeners);
  void start_servers(Listeners& listeners);
  void follow_control();
  void start_ports(std::vector<std::unique_ptr<sys::Listener>>& listeners);
  std::unique_ptr<sys::Listener> told(std::unique_ptr<sys::Listener> listener);
  std::unique_ptr<sys::Listener> beside_passages(std::unique_ptr<sys::Listener> listener);
  async::Task<void> load_routes();
  bool is_node(const sys::Address& peer) const;
  void use(routing::TablePtr table);
  void forget_gone(const routing::RouteTable& before, const routing::RouteTable& after);
  void forget_upstreams(const model::AppRoute& old, const routing::RoutePtr& now);
  // Nobody's where there is none: then nothing here asks it.
  sys::Address control() const { return config.control.value_or(sys::Address()); }
  std::size_t connections() const {
    if (server == nullptr) return 0;
    return server->connections() + port_http->connections() + tcp->connections();
  }
  async::Task<void> routes_of_now();
  async::Task<void> drain(Deadline deadline);
  async::Task<void> hand_over(Deadline deadline);

  sys::Host& host;
  Config config;
  State state;
  RouteStore store;
  RouteFile file;
  Upstreams upstream;
  backhaul::Client nodes;
  backhaul::LoadFeed load_feed;
  backhaul::LoadTeller teller;
  BackhaulHandler backhaul_handler;
  backhaul::Server backhaul_server;
  Waker waker;
  DatagramCarrier datagrams;
  Dialer dialer;
  LoadReporter loads;
  AccessLog log;
  http2::Protocol http2;
  std::unique_ptr<crypto::TlsServer> tls;
  std::unique_ptr<CertificateKeeper> certificates;
  std::unique_ptr<Proxy> proxy;
  std::unique_ptr<PortHttp> port_http;
  std::unique_ptr<TcpProxy> tcp;
  std::unique_ptr<RouteFeed> feed;
  std::unique_ptr<StatusHandler> status;
  std::unique_ptr<http::Server> server;
  std::unique_ptr<http::Server> status_server;
  std::unique_ptr<Occupancy::Listening> freed_elsewhere;  // by another loop of this process
  async::Event stopped;
  async::TaskGroup chores;  // what one router of a node does: reports, the routes' file
  async::TaskGroup tasks;   // last: uses the others
};

Router::Router(sys::Host& host, Config config)
    : parts_(std::make_shared<Parts>(host, std::move(config))) {}

Router::~Router() {
  parts_->tasks.cancel_all();
  parts_->chores.cancel_all();
  parts_->server.reset();
  parts_->port_http.reset();
  parts_->tcp.reset();
  parts_->status_server.reset();
  parts_->stopped.set();
}

const State& Router::state() const {
  return parts_->state;
}

void Router::set_routes(routing::TablePtr routes) {
  PERIGEE_CHECK(!parts_->config.control.has_value());
  // Nobody is told of loads; of those that are over nothing has to be kept.
  parts_->state.loads.acknowledge(parts_->state.loads.report());
  if (parts_->server != nullptr) return parts_->use(std::move(routes));
  parts_->config.routes = std::move(routes);  // it has not begun
}

async::Task<void> Router::run(Listeners listeners) {
  return Parts::run(parts_, std::move(listeners));
}

async::Task<void> Router::Parts::run(std::shared_ptr<Parts> parts, Listeners listeners) {
  Parts& self = *parts;
  PERIGEE_CHECK(self.server == nullptr);
  auto made = crypto::TlsServer::create({"h2", "http/1.1"});
  PERIGEE_CHECK(made.has_value());
  self.tls = *std::move(made);
  self.certificates = std::make_unique<CertificateKeeper>(
      self.host, self.control(), std::move(self.config.certificate_keys), *self.tls);
  co_await self.load_routes();
  if (self.stopped.is_set()) co_return;
  self.tasks.spawn(self.certificates->change_ticket_keys());
  if (self.config.control) self.follow_control();
  co_await self.routes_of_now();
  if (self.stopped.is_set()) co_return;
  self.start_servers(listeners);
  if (self.config.on_serving) self.config.on_serving();
  self.tasks.spawn(backhaul::LoadTeller::run(self.teller));
  co_await self.stopped.wait();
}

void Router::Parts::follow_control() {
  feed =
      std::make_unique<RouteFeed>(host, control(), store, state, [this](routing::TablePtr table) {
        state.from_disk = false;
        use(std::move(table));
        file.changed();
      });
  tasks.spawn(feed->run());
  tasks.spawn(certificates->run());
  chores.spawn(loads.run());
  chores.spawn(file.keep());
}

// Until control has told the routes, or what has changed since those of the disk; not for ever.
async::Task<void> Router::Parts::routes_of_now() {
  const MonotonicTime end = host.loop.now() + config.routes_patience;
  const auto told = [this] { return state.feed_connected && !store.in_snapshot(); };
  while (config.control && !told() && host.loop.now() < end) {
    co_await host.loop.sleep(kRoutesPoll);
  }
}

void Router::Parts::start_servers(Listeners& listeners) {
  const ProxySettings settings{
      .node = config.node.str(),
      .region = config.region.str(),
      .requests_per_client = config.connections_per_client,
      .domain = config.domain,
      .http_port = port_of(listeners.http, config.http_port, 80),
      .https_port = port_of(listeners.https, config.https_port, 443),
      .bounds = {
          .reach = config.reach_bound, .wake = config.wake_bound, .queue = config.queue_bound}};
  proxy = std::make_unique<Proxy>(host, state, upstream, nodes, load_feed, waker, log, settings);
  server = std::make_unique<http::Server>(host, *proxy, user_limits(config.connections_per_client),
                                          &http2);
  start_ports(listeners.tcp);
  for (auto& listener : listeners.http) tasks.spawn(server->serve(told(std::move(listener))));
  for (auto& listener : listeners.https) {
    tasks.spawn(server->serve_tls(beside_passages(told(std::move(listener))), *tls));
  }
  for (auto& listener : listeners.backhaul) {
    tasks.spawn(backhaul_server.serve(std::move(listener)));
  }
  for (auto& socket : listeners.udp) tasks.spawn(datagrams.serve(std::move(socket)));
  tasks.spawn(datagrams.run());
  if (listeners.status == nullptr) return;
  status = std::make_unique<StatusHandler>(host.clock, state, store,
                                           Candidates(host.loop, state, nodes, config.node.str()),
                                           [this] { return connections(); });
  status_server =
      std::make_unique<http::Server>(host, *status, http::ServerLimits{.max_connections = 64});
  tasks.spawn(status_server->serve(std::move(listeners.status)));
}

void Router::Parts::start_ports(std::vector<std::unique_ptr<sys::Listener>>& listeners) {
  port_http = std::make_unique<PortHttp>(host, state, *proxy, *tls, http2,
                                         user_limits(config.connections_per_client));
  tcp = std::make_unique<TcpProxy>(
      host, state, dialer, *tls, log, port_http->doors(),
      TcpProxy::Settings{
          .node = config.node.str(), .region = config.region.str(), .idle = config.tcp_idle});
  tasks.spawn(port_http->serve_plain());
  tasks.spawn(port_http->serve_tls());
  for (auto& listener : listeners) tasks.spawn(tcp->serve(told(std::move(listener))));
}

// Its connections as their clients', where a balancer in front tells who they are.
std::unique_ptr<sys::Listener> Router::Parts::told(std::unique_ptr<sys::Listener> listener) {
  if (config.proxy_from.empty()) return listener;
  return std::make_unique<PreparedListener>(
      host.loop, std::move(listener), [this](std::unique_ptr<sys::Stream> stream) {
        return as_told(host, state.tcp, config.proxy_from, std::move(stream));
      });
}

// Without the connections whose TLS is their app's.
std::unique_ptr<sys::Listener> Router::Parts::beside_passages(
    std::unique_ptr<sys::Listener> listener) {
  return std::make_unique<PreparedListener>(
      host.loop, std::move(listener),
      [this, source = tcp->source()](std::unique_ptr<sys::Stream> stream) {
        return past_passages(host, state, *tcp, std::move(stream));
      });
}

void Router::Parts::use(routing::TablePtr table) {
  const routing::TablePtr before = std::exchange(state.table, std::move(table));
  certificates->update(*before, *state.table);
  forget_gone(*before, *state.table);
  if (!state.table->shares_nodes(*before)) {
    nodes.set_nodes(state.table->nodes());
    datagrams.set_nodes(state.table->nodes());
  }
  state.changed.notify_all();
  state.queue.routes_changed();
}

// The mesh lets nobody else send from a node's address (docs/decisions/0021-backhaul.md).
bool Router::Parts::is_node(const sys::Address& peer) const {
  return std::ranges::any_of(state.table->nodes(), [&](const auto& each) {
    const auto address = sys::Address::ip(each.second.mesh_address, peer.port());
    return address && *address == peer;
  });
}

// An address may be given to another machine: no kept connection may lead there.
void Router::Parts::forget_gone(const routing::RouteTable& before,
                                const routing::RouteTable& after) {
  using Route = const routing::RoutePtr*;
  routing::RouteMap::differences(before.apps(), after.apps(),
                                 [this](const std::string&, Route old, Route now) {
                                   if (old != nullptr)
                                     forget_upstreams(**old, now == nullptr ? nullptr : *now);
                                 });
}

void Router::Parts::forget_upstreams(const model::AppRoute& old, const routing::RoutePtr& now) {
  const auto still = upstream_addresses(now);
  for (const model::RouteTarget& target : old.targets) {
    if (still.contains(target.machine.str() + " " + target.instance_id + " " + target.address))
      continue;
    for (const model::Service& service : old.services) {
      const auto address =
          sys::Address::ip(target.address, static_cast<std::uint16_t>(service.internal_port));
      if (address) upstream.forget(*address);
    }
  }
}

async::Task<void> Router::Parts::load_routes() {
  if (!config.control) co_return use(config.routes);
  if (!co_await file.load()) co_return;
  use(store.table());
  state.from_disk = true;
  log_info("router", "{} routes from {}", state.table->apps().size(), config.snapshot_path);
}

async::Task<void> Router::drain(Deadline deadline, Successor successor) {
  if (parts_->server != nullptr && successor == Successor::serves) {
    co_await parts_->hand_over(deadline);
  } else {
    co_await parts_->drain(deadline);
  }
  co_await parts_->log.flush();
  parts_->stopped.set();
}

// Nothing is accepted any more from its start; one wait for all that runs. Other nodes' requests
// are served until users' have ended: nobody here would take them.
async::Task<void> Router::Parts::drain(Deadline deadline) {
  if (server != nullptr) {
    async::TaskGroup draining(host.loop);
    draining.spawn(server->drain(deadline));
    draining.spawn(port_http->drain(deadline, {}));
    draining.spawn(tcp->drain(deadline));
    co_await draining.drained();
  }
  teller.end();
  co_await backhaul_server.drain(deadline);
  co_await file.save();
}

// The successor accepts already: everybody is told at once to turn to it.
async::Task<void> Router::Parts::hand_over(Deadline deadline) {
  chores.cancel_all();
  datagrams.hand_over();
  teller.end();
  async::TaskGroup draining(host.loop);
  draining.spawn(server->drain(deadline, kDrainPatience));
  draining.spawn(port_http->drain(deadline, kDrainPatience));
  draining.spawn(tcp->drain(deadline));
  draining.spawn(backhaul_server.drain(deadline));
  if (status_server != nullptr) draining.spawn(status_server->drain(deadline));
  co_await draining.drained();
}

}  // namespace perigee::router
