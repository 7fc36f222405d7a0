// The internal API on control.sock: the feeds to workers, routers and links, blobs, and the
// workers' reports. control/callers.h knows who asks.
#pragma once

#include "api/route_table.h"
#include "control/callers.h"
#include "control/context.h"
#include "control/control_peers.h"
#include "control/shared_images.h"

namespace perigee::control {

class InternalApi {
 public:
  InternalApi(const Context& context, const Callers& callers, ControlPeers& peers,
              SharedImages& images)
      : context_(context), callers_(callers), peers_(peers), images_(images) {}
  // A router may read the routes feed and the keys of certificates, nothing else.
  void add_routes(api::RouteTable& table);

 private:
  async::Task<Result<void>> node_feed(api::Call& call, http::ResponseWriter& response);
  async::Task<Result<void>> routes_feed(api::Call& call, http::ResponseWriter& response);
  async::Task<Result<void>> fleet_feed(api::Call& call, http::ResponseWriter& response);
  async::Task<Result<void>> blob(Images& images, api::Call& call, http::ResponseWriter& response);
  async::Task<Result<api::Reply>> certificate_keys();
  async::Task<Result<api::Reply>> certificates();
  async::Task<Result<api::Reply>> report(api::Call& call);
  async::Task<Result<api::Reply>> reports();
  async::Task<Result<api::Reply>> share_routes(api::Call& call);
  async::Task<Result<api::Reply>> take_keys(api::Call& call);
  async::Task<Result<void>> remember(const model::NodeReport& report);

  const Context& context_;
  const Callers& callers_;
  ControlPeers& peers_;
  SharedImages& images_;
};

}  // namespace perigee::control
