// What `perigee lab up` does to the host, in this order; each step is done again without harm, so
// that a second `up` repairs what is missing.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "async/task.h"
#include "lab/topology.h"
#include "sys/host.h"

namespace perigee::lab {

// A network namespace for each endpoint.
async::Task<Result<void>> make_namespaces(sys::Host& host, const Plan& plan);
// The emulator, by `program` (the perigee command), unless it runs.
async::Task<Result<void>> start_emulator(sys::Host& host, const Plan& plan, std::string program);
// Addresses and neighbours of each endpoint's interface, which the emulator has made.
async::Task<Result<void>> set_up_interfaces(sys::Host& host, const Plan& plan);

// The environment of whatever belongs to the lab: ours, these, and the mark by which `down` finds
// its processes and all that they start.
using Environment = std::vector<std::pair<std::string, std::string>>;
Environment lab_environment(const Plan& plan, const Environment& more);
std::string process_mark(std::string_view lab_id);  // "PERIGEE_LAB_PART=3f00aa"

// `argv` in a network namespace. Mounts stay those of the host: `ip netns exec` would hide
// /sys/fs/cgroup, which machines need.
std::vector<std::string> in_namespace(const std::string& network_namespace,
                                      std::vector<std::string> argv);

}  // namespace perigee::lab
