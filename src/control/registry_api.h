// The public API's log-ins at registries: /v1/registries and below. Passwords come in and never go
// out: what is shown of one is a digest.
#pragma once

#include "api/route_table.h"
#include "control/context.h"

namespace perigee::control {

class RegistryApi {
 public:
  explicit RegistryApi(const Context& context) : context_(context) {}
  void add_routes(api::RouteTable& table, const api::Guard& guard);

 private:
  async::Task<Result<api::Reply>> list();
  async::Task<Result<api::Reply>> show(api::Call& call);
  async::Task<Result<api::Reply>> put_login(api::Call& call);  // {"username", "password"}
  async::Task<Result<api::Reply>> remove(api::Call& call);
  Result<Stored<model::RegistryLogin>> find(const api::Call& call) const;

  const Context& context_;
};

}  // namespace perigee::control
