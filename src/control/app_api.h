// The public API's apps: /v1/apps and /v1/apps/{app}.
#pragma once

#include "api/route_table.h"
#include "control/context.h"

namespace perigee::control {

class AppApi {
 public:
  explicit AppApi(const Context& context) : context_(context) {}
  void add_routes(api::RouteTable& table, const api::Guard& guard);

 private:
  async::Task<Result<api::Reply>> list();
  async::Task<Result<api::Reply>> create(api::Call& call);
  async::Task<Result<api::Reply>> show(api::Call& call);
  async::Task<Result<api::Reply>> destroy(api::Call& call);
  json::Value view(const model::App& app) const;

  const Context& context_;
};

// The app that a call's path names.
Result<AppName> app_of(const api::Call& call);

}  // namespace perigee::control
