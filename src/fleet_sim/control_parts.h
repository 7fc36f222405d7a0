// ControlParts: control's tables, feeds and the background tasks that decide where machines are and
// whether they run, without the API: what of a control is simulated. One lives as long as its
// process; the store outlives it.
#pragma once

#include <memory>

#include "api/endpoint.h"
#include "async/task_group.h"
#include "control/autostopper.h"
#include "control/context.h"
#include "control/control_peers.h"
#include "control/housekeeping.h"
#include "control/key_sharing.h"
#include "control/release_reconciler.h"
#include "control/route_sharing.h"
#include "control/scale_reconciler.h"
#include "control/scheduler.h"
#include "http/server.h"
#include "sim/simulation.h"
#include "store/store.h"

namespace perigee::fleet_sim {

inline constexpr std::uint16_t kFeedPort = 4281;

// What is on control's disk: made once, whatever becomes of its processes.
struct ControlFiles {
  std::unique_ptr<secrets::KeyFile> keys;
  std::unique_ptr<control::Certificates> certificates;
  static ControlFiles create(sim::Simulation& simulation, sys::Host& host);
};

class ControlParts {
 public:
  ControlParts(sys::Host& host, store::Store& store, ControlFiles& files, std::string epoch);

  async::Task<Result<void>> load() { return desired_.load(); }
  void start_following() { tasks_.spawn(desired_.follow()); }
  // All that control does by itself.
  void start_working();
  Result<void> start_serving(const sys::Address& at);

  control::DesiredTable& desired() { return desired_; }
  control::ObservedTable& observed() { return observed_; }
  control::Publisher& publisher() { return publisher_; }

 private:
  class NoImages : public control::Images {
   public:
    async::Task<Result<model::ImageRef>> resolve(std::string, image::Login) override;
    async::Task<Result<bool>> has_blob(std::string) override;
    async::Task<Result<std::vector<std::string>>> missing_blobs(std::string) override;
    async::Task<Result<void>> put_blob(std::string, http::Body&) override;
    async::Task<Result<std::unique_ptr<http::Body>>> open_blob(std::string) override;
  };
  async::Task<Result<void>> routes_feed(api::Call& call, http::ResponseWriter& response);
  async::Task<Result<void>> node_feed(api::Call& call, http::ResponseWriter& response);

  sys::Host& host_;
  control::Changes changes_{host_.loop};
  control::DesiredTable desired_;
  control::ObservedTable observed_{host_.loop, changes_, control::kNodeLease};
  control::LoadTable loads_{host_.loop, control::kAutostopIdle};
  control::Drains drains_{changes_};
  control::WakeRefusals refusals_;
  NoImages images_;
  control::WorkerLink worker_{host_, {node_of_control(), "/worker.sock", {}}};
  control::RouterLink routers_{host_, {node_of_control(), "/router.sock", {}}};
  control::ControlPeers peers_{host_, desired_, node_of_control(), {}};  // it is the only one
  control::Publisher publisher_;
  control::RouteSharing sharing_{peers_, desired_, drains_, publisher_, changes_.notify()};
  control::KeySharing key_sharing_;
  control::Context context_;
  control::ScaleReconciler scale_{context_};
  control::ReleaseReconciler releases_{context_};
  control::Autostopper autostopper_{context_};
  control::Scheduler scheduler_{context_};
  control::Housekeeping housekeeping_{context_};
  api::RouteTable routes_;
  api::Endpoint endpoint_{"control", routes_};
  http::Server server_;
  async::TaskGroup tasks_;  // last: uses the others

  static NodeId node_of_control() { return NodeId("control"); }
};

}  // namespace perigee::fleet_sim
