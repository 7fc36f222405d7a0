// The lab's etcd: a member in each city with control, set up as docs/operate/store.md tells an
// owner of servers to: TLS between all, a user who may touch Perigee's keys alone.
#pragma once

#include <string>

#include "async/task.h"
#include "lab/topology.h"
#include "sys/host.h"

namespace perigee::lab {

// Certificates and passwords, where there are none; the members, unless they run; users. Done again
// it repairs what is missing. Nothing where control keeps its state in SQLite.
async::Task<Result<void>> start_etcd(sys::Host& host, const Plan& plan);
// Whether the city's member runs.
bool etcd_runs(const CityPlan& city);

// [store] of the perigeed.toml of a city with control, its own member first; empty with SQLite.
std::string store_configuration(const Plan& plan, const CityPlan& city);

// The command that is the city's member. Pure.
std::vector<std::string> etcd_command(const Plan& plan, const CityPlan& city);

}  // namespace perigee::lab
