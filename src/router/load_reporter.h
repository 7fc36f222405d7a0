// LoadReporter: tells control what the machines have to do, and up to which revision of the routes
// this router has followed: what autostop decides by. In batches: once a second, sooner after new
// routes, for control may be waiting to see that a machine gets no more requests.
#pragma once

#include <string>

#include "http/client.h"
#include "router/route_store.h"
#include "router/state.h"
#include "sys/host.h"

namespace perigee::router {

class LoadReporter {
 public:
  LoadReporter(sys::Host& host, State& state, const RouteStore& store, sys::Address control,
               std::string router);
  async::Task<void> run();  // until cancelled

 private:
  async::Task<Result<void>> send(const Loads::Report& report);

  sys::Host& host_;
  State& state_;
  const RouteStore& store_;
  sys::Address control_;
  std::string router_;
  http::Client client_;
};

}  // namespace perigee::router
