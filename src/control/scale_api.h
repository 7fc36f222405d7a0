// The public API's regions and scale: GET /v1/regions, /v1/apps/{app}/regions and
// /v1/apps/{app}/scale. A call changes what the app's record says; ScaleReconciler does the rest.
#pragma once

#include "api/route_table.h"
#include "control/context.h"
#include "control/scale_view.h"

namespace perigee::control {

class ScaleApi {
 public:
  explicit ScaleApi(const Context& context) : context_(context) {}
  void add_routes(api::RouteTable& table, const api::Guard& guard);

 private:
  async::Task<Result<api::Reply>> list_regions();
  async::Task<Result<api::Reply>> show_regions(api::Call& call);
  async::Task<Result<api::Reply>> set_regions(api::Call& call);
  async::Task<Result<api::Reply>> change_regions(api::Call& call);
  async::Task<Result<api::Reply>> show_scale(api::Call& call);
  async::Task<Result<api::Reply>> set_scale(api::Call& call);

  async::Task<Result<void>> replace(Stored<model::App> app, model::Scale scale);
  Result<std::vector<RegionCode>> regions_in(const json::Value& body, std::string_view key) const;
  ScaleView view_of(const model::App& app) const;
  json::Value regions_view(const model::App& app) const;
  json::Value scale_view_of(const model::App& app) const;

  const Context& context_;
};

}  // namespace perigee::control
