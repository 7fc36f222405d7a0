// Control: the role that owns desired state: the public API, the store, the deploys, and the feeds
// to workers and routers. It touches no VM and carries no request of a user.
//
//   Control control(host, config, {store, images, worker, certificates, keys});
//   CO_TRY_VOID(co_await control.load());
//   co_await control.run(std::move(api_listeners), std::move(internal_listener));  // for ever
//
// Or, as bin/ does it, `run_control`, which opens store, CA and blobs first.
// Destroying a Control (cancelling run) is always safe: what was committed is on disk, and the next
// one goes on.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "async/task.h"
#include "config/paths.h"
#include "config/store_config.h"
#include "control/context.h"
#include "control/limits.h"
#include "store/store.h"
#include "sys/host.h"
#include "sys/ip_prefix.h"

namespace perigee::control {

struct ControlConfig {
  NodeId node;                                   // the one that this control runs on
  std::string link_socket;                       // its link.sock; empty: it is in no fleet
  std::string domain = "localhost";              // apps are <app>.<domain>
  std::uint32_t own_uid = 0;                     // may call the internal API, beside root
  std::uint32_t router_uid = 0;                  // may read the routes
  std::vector<sys::IpPrefix> address_prefixes;   // whose addresses apps are given
  config::StoreConfig store;                     // where the state is kept
  Duration certificate_life = kNodeCertificate;  // of the fleet's nodes
  Duration autostop_idle = kAutostopIdle;        // without requests, before a machine may rest
  SilenceTimes silence;
  DeployTimes times;
  config::AcmeConfig acme;  // how often, and with what, `authority` is asked
};

struct ControlParts {
  store::Store& store;
  Images& images;
  WorkerLink& worker;
  RouterLink& routers;
  Certificates& certificates;
  secrets::KeyFile& keys;
  acme::Client* authority = nullptr;  // null: no certificates by ACME
};

class Control {
 public:
  Control(sys::Host& host, ControlConfig config, ControlParts parts);
  ~Control();

  // Reads the store and makes `admin_token` valid (known as a hash from then on). First.
  async::Task<Result<void>> load(std::string admin_token);
  // Serves until cancelled.
  async::Task<void> run(std::vector<std::unique_ptr<sys::Listener>> api,
                        std::unique_ptr<sys::Listener> internal);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

struct ControlListeners {
  std::vector<std::unique_ptr<sys::Listener>> api;
  std::unique_ptr<sys::Listener> internal;  // control.sock
};

// The whole role over a state directory: reads `token` there, opens the store, ca.pem and blobs/,
// and serves until cancelled. Returns only with an error: what is missing or broken.
async::Task<Result<void>> run_control(sys::Host& host, config::Paths paths, ControlConfig config,
                                      ControlListeners listeners);

}  // namespace perigee::control
