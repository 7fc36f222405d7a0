// How many descriptors this process may hold: a router has two for each connection, and a shell's
// usual bound is 1024.
#pragma once

#include "base/result.h"

namespace perigee::sys {

// The soft bound becomes the hard one. The processes that this one starts inherit it.
Result<void> raise_open_files();

}  // namespace perigee::sys
