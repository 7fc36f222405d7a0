// The public API's volumes: /v1/apps/{app}/volumes and below, with the Machines API's paths and
// shapes. Beside `size_gb` there is `size_mb`, for small ones.
#pragma once

#include "api/route_table.h"
#include "control/context.h"

namespace perigee::control {

class VolumeApi {
 public:
  explicit VolumeApi(const Context& context) : context_(context) {}
  void add_routes(api::RouteTable& table, const api::Guard& guard);

 private:
  using Volume = Stored<model::Volume>;
  Result<Volume> find(const api::Call& call) const;
  Result<Volume> find_present(const api::Call& call) const;
  json::Value view(const model::Volume& volume) const;
  async::Task<Result<void>> replace(Volume stored, model::Volume next);

  async::Task<Result<api::Reply>> list(api::Call& call);
  async::Task<Result<api::Reply>> create(api::Call& call);
  async::Task<Result<api::Reply>> show(api::Call& call);
  async::Task<Result<api::Reply>> update(api::Call& call);
  async::Task<Result<api::Reply>> destroy(api::Call& call);
  async::Task<Result<api::Reply>> extend(api::Call& call);
  async::Task<Result<api::Reply>> list_snapshots(api::Call& call);
  async::Task<Result<api::Reply>> create_snapshot(api::Call& call);
  async::Task<Result<api::Reply>> destroy_snapshot(api::Call& call);

  const Context& context_;
};

}  // namespace perigee::control
