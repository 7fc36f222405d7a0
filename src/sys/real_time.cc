#include "sys/real_time.h"

#include <sched.h>
#include <sys/prctl.h>

#include <cerrno>

namespace perigee::sys {
namespace {

constexpr int kPriority = 10;  // of 1 to 99: behind what the kernel itself runs so

}  // namespace

// SAFETY: a real-time thread that never sleeps starves its processor, but for the 5% that the
// kernel keeps for others; the emulator sleeps whenever no frame is due.
Result<void> make_thread_real_time() {
  ::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  const sched_param wanted{.sched_priority = kPriority};
  if (::sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &wanted) < 0) {
    return fail(errno_error(errno, "real-time priority"));
  }
  return {};
}

}  // namespace perigee::sys
