// Router: the role as a library. Takes users' requests, connections and datagrams to the machines
// of their apps.
//
//   router::Router router(host, {.node = …, .region = …, .domain = "localhost",
//                                .control = "unix:/run/perigee/control.sock",
//                                .snapshot_path = "/var/lib/perigee/router/routes.json"});
//   co_await router.run({.http = …, .https = …, .status = …});   // until drained or cancelled
//
// It needs nothing but its listeners, write access to the snapshot's directory and the access log,
// and the control socket, which may come and go: routes are kept on disk and serve without it.
// In a fleet it hands requests for machines of other nodes to their routers, and serves theirs.
// Listeners come open (the process that runs a router has no privileges); ports for redirects are
// theirs unless the config says otherwise. One thread: the host's loop.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backhaul/limits.h"
#include "base/id.h"
#include "router/limits.h"
#include "router/state.h"
#include "routing/route_table.h"
#include "secrets/key_ring.h"
#include "sys/host.h"
#include "sys/ip_prefix.h"

namespace perigee::router {

struct Config {
  NodeId node;
  RegionCode region{"loc"};
  std::string domain = "localhost";
  // Serves /internal/v1/feed/routes and …/keys/certificate-key. None: the routes are `routes`, then
  // what set_routes() says.
  std::optional<sys::Address> control{};
  routing::TablePtr routes = std::make_shared<const routing::RouteTable>();
  // As known at the start; control tells newer ones.
  secrets::KindKeys certificate_keys{secrets::Kind::certificate_key};
  // Shared by the routers of one process, each on a thread of its own.
  std::shared_ptr<Occupancy> occupancy = std::make_shared<Occupancy>();
  std::string snapshot_path{};  // empty: none is kept
  std::string access_log{};     // file; empty: standard error
  int http_port = 0;            // as users see them; 0: that of the first such listener
  int https_port = 0;
  Duration reach_bound = kReachBound;  // how long a request waits for a machine to take it
  Duration wake_bound = kWakeBound;    // … while one is being started
  Duration queue_bound = kQueueBound;  // … while all are at their hard limit
  std::uint16_t backhaul_port = backhaul::kPort;  // of the other nodes' routers
  // Connections from there begin with a PROXY header, which says who the client is.
  std::vector<sys::IpPrefix> proxy_from{};
  // Of HTTP; those of programs of this machine are not counted.
  std::size_t connections_per_client = kMaxHttpPerClient;
  Duration tcp_idle = kTcpIdle;  // a connection of TCP on which nothing is said ends
  // How long it waits for control's routes before it serves those of the disk: while another one
  // serves, there is no hurry.
  Duration routes_patience = {};
  std::function<void()> on_serving{};  // called once, when it serves
};

// Who serves users once this router drains: nobody here, or another router that serves the same
// listeners already.
enum class Successor { none, serves };

struct Listeners {
  std::vector<std::unique_ptr<sys::Listener>> http{};
  std::vector<std::unique_ptr<sys::Listener>> https{};
  std::vector<std::unique_ptr<sys::Listener>> backhaul{};  // for other nodes' routers
  std::unique_ptr<sys::Listener> status{};                 // router.sock; may be null
  std::vector<std::unique_ptr<sys::Listener>> tcp{};       // of ports that are one app's alone
  std::vector<std::unique_ptr<sys::Datagrams>> udp{};      // likewise
};

class Router {
 public:
  Router(sys::Host& host, Config config);
  ~Router();

  // Loads the saved routes, then follows the feed and serves. Once.
  async::Task<void> run(Listeners listeners);
  // Stops accepting, lets requests end (the rest is cut at `deadline`), saves; `run` then ends.
  // With a successor nothing that arrives is lost: what was accepted is served, clients and other
  // nodes' routers are told to ask anew, and the routes' file, the reports and UDP are left to it.
  async::Task<void> drain(Deadline deadline, Successor successor = Successor::none);

  // Of a router without a control: takes effect at once, requests under way keep what they have.
  void set_routes(routing::TablePtr routes);

  const State& state() const;

 private:
  struct Parts;
  std::shared_ptr<Parts> parts_;  // shared with `run`, which may end after the router
};

}  // namespace perigee::router
