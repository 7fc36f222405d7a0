#include "sys/core_dumps.h"

#include <doctest/doctest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace perigee::sys {
namespace {

TEST_CASE("a process that forbids core dumps is not dumpable and can't raise its limit") {
  const pid_t child = ::fork();  // it can't be undone
  REQUIRE(child >= 0);
  if (child == 0) {
    const bool was = ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1;
    const bool done = forbid_core_dumps().has_value();
    rlimit limit{1, 1};
    ::getrlimit(RLIMIT_CORE, &limit);
    const bool is = ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1;
    ::_exit(was && done && !is && limit.rlim_cur == 0 && limit.rlim_max == 0 ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

}  // namespace
}  // namespace perigee::sys
