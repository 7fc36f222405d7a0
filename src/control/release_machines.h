// The machines of a release as values: new ones, with the volumes that they mount, and those of
// another release that a deploy takes over because they hold a volume. What is made here is put
// into the store by the caller, as one transaction.
#pragma once

#include <utility>
#include <vector>

#include "control/context.h"
#include "control/records.h"

namespace perigee::control {

struct PlannedMachines {
  std::vector<model::Machine> machines{};
  // Attached to them: new ones at revision 0, free ones at the revision at which they were free.
  std::vector<std::pair<model::Volume, store::Revision>> volumes{};
};

// `count` new machines, kept out of routing. A mount gets a free volume of its name, on whose node
// the machine then is, or a new one.
Result<PlannedMachines> plan_machines(const Context& context, const ReleaseRecord& record,
                                      int count);

// A machine holds all volumes that a release's machines mount, and no other.
bool holds_volumes_of(const model::Machine& machine, const model::MachineConfig& release);
// Such a machine, in that release: booted anew with the volumes that it has and the app's secrets.
model::Machine taken_over(const Context& context, const model::Machine& machine,
                          const model::Release& release);

}  // namespace perigee::control
