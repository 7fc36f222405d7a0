// StatusHandler: `GET /internal/v1/status` on router.sock: what this router knows and does, for
// `perigee status` and tests. No keys in it. Answers root and the router's own user.
#pragma once

#include <functional>

#include "http/message.h"
#include "json/json.h"
#include "router/route_store.h"
#include "router/state.h"

namespace perigee::router {

json::Value status_json(const State& state, const RouteStore& store, std::size_t connections);

class StatusHandler : public http::Handler {
 public:
  StatusHandler(const State& state, const RouteStore& store,
                std::function<std::size_t()> connections)
      : state_(state), store_(store), connections_(std::move(connections)) {}
  async::Task<void> handle(http::Request& request, http::ResponseWriter& response) override;

 private:
  const State& state_;
  const RouteStore& store_;
  std::function<std::size_t()> connections_;
};

}  // namespace perigee::router
