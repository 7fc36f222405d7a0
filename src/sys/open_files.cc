#include "sys/open_files.h"

#include <sys/resource.h>

#include <cerrno>

namespace perigee::sys {

Result<void> raise_open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) return fail(errno_error(errno, "RLIMIT_NOFILE"));
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) < 0) return fail(errno_error(errno, "RLIMIT_NOFILE"));
  return {};
}

}  // namespace perigee::sys
