// CheckProgress: what one check is known to be, from the outcomes of its attempts. Pure.
//
// A check begins in `warning`. In its grace period failures leave it there; later they make it
// `critical`. A success makes it `passing`. One that passed becomes `warning` at its first failure,
// is tried again soon, and `critical` at the next in a row.
#pragma once

#include <string>

#include "base/time.h"
#include "model/types.h"

namespace perigee::worker {

struct CheckOutcome {
  bool passed = false;
  std::string output;
};

struct CheckProgress {
  model::CheckStatus status;
  bool has_passed = false;  // since the start
  int failures = 0;         // in a row
  bool operator==(const CheckProgress&) const = default;
};

// A check that was not tried yet.
CheckProgress new_progress(std::string name, WallTime now);
// One that an earlier worker has tried.
CheckProgress resumed_progress(model::CheckStatus status);

// `age`: since the app's start.
CheckProgress after_outcome(const model::Check& check, CheckProgress progress,
                            const CheckOutcome& outcome, Duration age, WallTime now);

// Until the next attempt: its interval; less until it has passed once, and to confirm a failure.
Duration pause_after(const model::Check& check, const CheckProgress& progress);

}  // namespace perigee::worker
