// When machines rest for want of requests, and which of them a request starts again. Pure;
// autostopper.h and router_api.h carry it out.
//
// One machine of a region at a time: where several run, one more than those that have reached their
// soft limit is enough; the last one goes when it has had no request for the idle time. At least
// min_machines_running stay in the primary region.
#pragma once

#include <optional>
#include <vector>

#include "model/types.h"

namespace perigee::control {

// What a machine's services ask for together: nothing stops where one of them must run.
struct AutostopPolicy {
  model::Autostop autostop = model::Autostop::off;
  int min_running = 0;
  int soft_limit = 0;
  bool operator==(const AutostopPolicy&) const = default;
};
AutostopPolicy autostop_policy(const model::MachineConfig& config);

// A machine that runs and takes requests.
struct RunningMachine {
  MachineId id;
  RegionCode region;
  int in_flight = 0;
  int peak = 0;     // most requests at once, lately
  Duration idle{};  // since its last request
  Duration up{};    // since it was seen to run
};

// Those of one app that `policy` is about; `primary` empty: every region counts as the primary one.
std::vector<MachineId> plan_autostop(const std::vector<RunningMachine>& running,
                                     const AutostopPolicy& policy, const RegionCode& primary,
                                     Duration idle_time);

// A request may have this machine started: it is at rest or on the way there, a service of it has
// autostart, and nothing says that it can't run. `status` may be null.
bool is_wakeable(const model::Machine& machine, const model::MachineStatus* status);

struct SleepingMachine {
  MachineId id;
  RegionCode region;
  model::MachineState state = model::MachineState::stopped;
  std::string lack = {};  // why it can't run on its node now; empty: it can
};
// The one to start: in the asker's region before others, a suspended one, which is quickest, before
// stopped ones, and those before what is still on the way to rest. Nullopt: there is none that can
// run.
std::optional<MachineId> choose_to_wake(const std::vector<SleepingMachine>& sleeping,
                                        const RegionCode& region);

}  // namespace perigee::control
