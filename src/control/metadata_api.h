// The public API's metadata of a machine: names and values that change without a new version of its
// configuration, and so without a restart.
#pragma once

#include "api/route_table.h"
#include "control/context.h"

namespace perigee::control {

class MetadataApi {
 public:
  explicit MetadataApi(const Context& context) : context_(context) {}
  void add_routes(api::RouteTable& table, const api::Guard& guard);

 private:
  async::Task<Result<api::Reply>> show(api::Call& call);
  async::Task<Result<api::Reply>> set(api::Call& call);
  async::Task<Result<api::Reply>> remove(api::Call& call);

  const Context& context_;
};

}  // namespace perigee::control
