// The machines of a release as values: new ones, with the volumes that they mount, and those of
// another release that a deploy takes over because they hold a volume. What is made here is put
// into the store by the caller, as one transaction.
#pragma once

#include <utility>
#include <vector>

#include "control/context.h"
#include "control/records.h"
#include "control/scale_plan.h"

namespace perigee::control {

struct PlannedMachines {
  std::vector<model::Machine> machines{};
  // Attached to them: new ones at revision 0, free ones at the revision at which they were free.
  std::vector<std::pair<model::Volume, store::Revision>> volumes{};
};

// When a new machine gets requests: as soon as it can, or when its deploy switches to it.
enum class Entry { at_once, at_switch };

// Where a deploy's missing machines go. Where each of the app's regions has its own number, a
// region without a node that takes machines is left out: it gets them when there is one.
struct Places {
  std::vector<Addition> additions;
  std::string left_out;  // a sentence; empty: nothing is
};
Result<Places> places_for(const Context& context, const model::App& app,
                          const ReleaseRecord& record, int missing);
// How many machines a release gets whose deploy does not say.
int usual_count(const Context& context, const model::App& app, const ReleaseRecord& record);

// One new machine for each addition. A mount gets a free volume of its name, on whose node the
// machine then is, or a new one.
Result<PlannedMachines> plan_machines(const Context& context, const ReleaseRecord& record,
                                      Entry entry, const std::vector<Addition>& additions);

// A machine holds all volumes that a release's machines mount, and no other.
bool holds_volumes_of(const model::Machine& machine, const model::MachineConfig& release);
// Such a machine, in that release: booted anew with the volumes that it has and the app's secrets.
model::Machine taken_over(const Context& context, const model::Machine& machine,
                          const model::Release& release);

}  // namespace perigee::control
