// The processor's cores that this process may run on.
#pragma once

#include <cstddef>

namespace perigee::sys {

std::size_t usable_cores();  // at least 1

}  // namespace perigee::sys
