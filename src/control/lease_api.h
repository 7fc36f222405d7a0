// The public API's leases: one caller at a time may hold a machine, for a time; others may look,
// and change nothing. In the store, so that a restart of control keeps them.
//
// Calls that change a machine go through machine_for (machine_calls.h), which asks check_lease.
#pragma once

#include "api/route_table.h"
#include "control/context.h"

namespace perigee::control {

class LeaseApi {
 public:
  explicit LeaseApi(const Context& context) : context_(context) {}
  void add_routes(api::RouteTable& table, const api::Guard& guard);

 private:
  async::Task<Result<api::Reply>> show(api::Call& call);
  async::Task<Result<api::Reply>> acquire(api::Call& call);
  async::Task<Result<api::Reply>> release(api::Call& call);

  const Context& context_;
};

// Whether a call with `nonce` may deploy the app: `conflict` where one of its machines is leased to
// somebody else.
Result<void> check_leases_of(const Context& context, const AppName& app, const std::string& nonce);
// Likewise whether a lease may be given: not while a deploy goes on, which changes all machines.
Result<void> check_no_deploy(const Context& context, const AppName& app);

// The nonce that a call carries: header perigee-machine-lease-nonce, or fly-machine-lease-nonce.
std::string lease_nonce(const api::Call& call);

bool is_held(const LeaseRecord* lease, WallTime now);  // null: it is not
// "leased by the API's token (migration) until 2026-11-26T10:00:00Z"
std::string describe(const LeaseRecord& lease);
// The same of a machine's, as an obstacle to what is done without being asked; empty: none.
std::string lease_in_the_way(const Context& context, const MachineId& machine);
// Has the transaction conflict where somebody takes or gives back a lease meanwhile.
void expect_same_lease(const Context& context, store::Transaction& transaction,
                       const MachineId& machine);
// Whether a call with `nonce` may change the machine now: `conflict` names holder and end of a
// lease that is another's, and a nonce that holds nothing. Pure. `lease` may be null.
Result<void> check_lease(const LeaseRecord* lease, const MachineId& machine,
                         const std::string& nonce, WallTime now);

}  // namespace perigee::control
