// The commands on machines: each is one compare-and-swap transaction on desired state; the workers
// see the result through their feed. Used by the public API and by deploys.
#pragma once

#include "control/context.h"
#include "control/node_rooms.h"

namespace perigee::control {

struct NewMachine {
  AppName app{};
  std::string name{};         // empty: made up
  RegionCode region{};        // empty: where there is room
  NodeId node{};              // where its volume is; empty: where there is room
  std::int64_t disk_mib = 0;  // of the volumes that are made for it
  model::MachineConfig config{};
  model::ImageRef image{};
  std::int64_t release = 0;
  MachineId replaces{};
  bool cordoned = false;
  model::DesiredState desired = model::DesiredState::started;
  model::Origin origin = model::Origin::user;
};

// Chooses node and ids.
Result<model::Machine> make_machine(const Context& context, NewMachine wanted,
                                    const Planned& planned);
// What an app's secrets are now, as a new version of a machine takes them with it: a machine keeps
// those that it was made with, whatever is staged meanwhile.
model::StringMap sealed_secrets(const Context& context, const AppName& app);
// 26 characters of Crockford's base 32: time, then entropy.
std::string make_instance_id(sys::Host& host);

// The machine as a command of `origin` leaves it, to be put by the caller.
model::Machine ordered(model::Machine machine, model::DesiredState desired, model::Origin origin,
                       WallTime now);
// The same for a user.
model::Machine started(model::Machine machine, WallTime now);
model::Machine stopped(model::Machine machine, WallTime now);
model::Machine suspended(model::Machine machine, WallTime now);
model::Machine destroyed(model::Machine machine, WallTime now);
// Ends what runs and boots it again.
model::Machine restarted(model::Machine machine, sys::Host& host);
model::Machine updated(model::Machine machine, model::MachineConfig config, model::ImageRef image,
                       sys::Host& host);

// Puts one machine that was read at `stored.revision`.
async::Task<Result<void>> replace(const Context& context, Stored<model::Machine> stored,
                                  model::Machine machine);

}  // namespace perigee::control
