// The API of a fleet's membership: join tokens for operators (/v1/nodes/tokens), and for nodes, on
// control.sock, joining, renewal of their certificates, change of their WireGuard keys, and the
// ring that opens what is sealed for them (docs/formats/fleet.md).
#pragma once

#include "api/route_table.h"
#include "control/callers.h"
#include "control/fleet.h"

namespace perigee::control {

class FleetApi {
 public:
  FleetApi(const Context& context, Fleet& fleet, const Callers& callers)
      : context_(context), fleet_(fleet), callers_(callers) {}
  void add_routes(api::RouteTable& table, const api::Guard& guard);
  void add_internal_routes(api::RouteTable& table);

 private:
  std::vector<std::string> join_addresses() const;
  async::Task<Result<api::Reply>> make_token(api::Call& call);
  async::Task<Result<api::Reply>> list_tokens();
  async::Task<Result<api::Reply>> revoke_token(api::Call& call);
  async::Task<Result<api::Reply>> ca();
  async::Task<Result<api::Reply>> join(api::Call& call);
  async::Task<Result<api::Reply>> join_own(api::Call& call);
  async::Task<Result<api::Reply>> renew(api::Call& call);
  async::Task<Result<api::Reply>> set_keys(api::Call& call);
  async::Task<Result<api::Reply>> key_ring();

  const Context& context_;
  Fleet& fleet_;
  const Callers& callers_;
};

}  // namespace perigee::control
