// StatusHandler: router.sock. `GET /internal/v1/status`: what this router knows and does, for
// `perigee status` and tests; no keys in it. `GET /internal/v1/explain/<request id>`: why a request
// went where it went; `GET /internal/v1/explain?host=`: where one would go now. Answers root and
// the router's own user.
#pragma once

#include <functional>

#include "http/message.h"
#include "json/json.h"
#include "router/candidates.h"
#include "router/route_store.h"
#include "router/state.h"

namespace perigee::router {

json::Value status_json(const State& state, const RouteStore& store, std::size_t connections);

class StatusHandler : public http::Handler {
 public:
  StatusHandler(sys::Clock& clock, const State& state, const RouteStore& store,
                Candidates candidates, std::function<std::size_t()> connections)
      : clock_(clock),
        state_(state),
        store_(store),
        candidates_(std::move(candidates)),
        connections_(std::move(connections)) {}
  async::Task<void> handle(http::Request& request, http::ResponseWriter& response) override;

 private:
  Result<json::Value> answer(const http::Request& request) const;
  Result<json::Value> explain_request(const std::string& id) const;
  Result<json::Value> explain_host(std::string_view host, const http::Headers& headers) const;

  sys::Clock& clock_;
  const State& state_;
  const RouteStore& store_;
  Candidates candidates_;
  std::function<std::size_t()> connections_;
};

}  // namespace perigee::router
