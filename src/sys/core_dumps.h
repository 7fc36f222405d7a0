// Keeping what is confidential in this process's memory out of core dumps.
#pragma once

#include "base/result.h"

namespace perigee::sys {

// No core is ever written of this process, whatever its limits are set to later, and no other
// user's process may read its memory. Children get the limit (0) alone: exec undoes the rest.
// Changing the user id undoes nothing. Call it before the first secret is read.
Result<void> forbid_core_dumps();

}  // namespace perigee::sys
