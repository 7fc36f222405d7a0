// The public API's releases: /v1/apps/{app}/releases and below. A POST starts a deploy, which runs
// on the server; events are replayed from the start and then followed to its end.
#pragma once

#include "api/route_table.h"
#include "control/context.h"

namespace perigee::control {

class ReleaseApi {
 public:
  explicit ReleaseApi(const Context& context) : context_(context) {}
  void add_routes(api::RouteTable& table, const api::Guard& guard);

 private:
  async::Task<Result<api::Reply>> list(api::Call& call);
  async::Task<Result<api::Reply>> create(api::Call& call);
  async::Task<Result<api::Reply>> show(api::Call& call);
  async::Task<Result<void>> events(api::Call& call, http::ResponseWriter& response);
  Result<ReleaseRecord> again(const model::App& app) const;
  Result<ReleaseRecord> read(const model::App& app, const json::Value& body) const;

  const Context& context_;
};

}  // namespace perigee::control
