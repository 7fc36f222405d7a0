#include "sys/cores.h"

#include <sched.h>

#include <algorithm>

namespace perigee::sys {

std::size_t usable_cores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (::sched_getaffinity(0, sizeof cores, &cores) < 0) return 1;  // more than CPU_SETSIZE of them
  return static_cast<std::size_t>(std::max(1, CPU_COUNT(&cores)));
}

}  // namespace perigee::sys
