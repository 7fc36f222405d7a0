// RouteFeed: follows control's routes feed, reconnecting for ever, and tells an owner about each
// new table. The last table serves while control is away.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "http/client.h"
#include "http/line_reader.h"
#include "router/route_store.h"
#include "router/state.h"
#include "sys/host.h"

namespace perigee::router {

class RouteFeed {
 public:
  using Publish = std::function<void(routing::TablePtr)>;
  RouteFeed(sys::Host& host, sys::Address control, RouteStore& store, State& state,
            Publish publish);
  async::Task<void> run();  // until cancelled

 private:
  async::Task<Result<void>> follow();
  async::Task<Result<void>> read_lines(http::Body& body);
  Result<bool> apply_arrived(http::LineReader& lines, bool& begun);

  sys::Host& host_;
  sys::Address control_;
  RouteStore& store_;
  State& state_;
  Publish publish_;
  http::Client client_;
};

}  // namespace perigee::router
