// Programs in a city: in the network of its node, with the node's folder as PERIGEE_ROOT and the
// lab's mark, by which `down` finds them.
#pragma once

#include <string>
#include <vector>

#include "async/task.h"
#include "lab/bring_up.h"
#include "lab/topology.h"
#include "sys/host.h"

namespace perigee::lab {

// Runs one to its end; what it printed.
async::Task<Result<std::string>> ask_city(sys::Host& host, const Plan& plan, const CityPlan& city,
                                          std::vector<std::string> argv, std::string input = {});
// Starts one that goes on by itself; what it says goes to the end of the log. `more`: of its
// environment.
async::Task<Result<void>> start_in_city(sys::Host& host, const Plan& plan, const CityPlan& city,
                                        std::vector<std::string> argv, std::string log_path,
                                        Environment more = {});

}  // namespace perigee::lab
