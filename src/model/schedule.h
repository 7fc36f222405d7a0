// When a machine with a schedule runs: slots of an hour, a day, a week or a calendar month from its
// creation on, in UTC. Pure.
#pragma once

#include <optional>

#include "model/types.h"

namespace perigee::model {

// The first slot after `after`; the creation itself is no slot. Nullopt without a schedule.
std::optional<WallTime> next_slot(Schedule schedule, WallTime created, WallTime after);

// The newest slot at `now` or before that is later than `seen`, the newest one that was seen to:
// what was missed in between is made up for once. Nullopt: nothing is due.
std::optional<WallTime> due_slot(Schedule schedule, WallTime created, WallTime seen, WallTime now);

}  // namespace perigee::model
