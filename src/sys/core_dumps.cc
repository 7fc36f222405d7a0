#include "sys/core_dumps.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>

namespace perigee::sys {

Result<void> forbid_core_dumps() {
  const rlimit none{0, 0};
  if (::setrlimit(RLIMIT_CORE, &none) < 0 || ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) {
    return fail(errno_error(errno, "forbid core dumps"));
  }
  return {};
}

}  // namespace perigee::sys
