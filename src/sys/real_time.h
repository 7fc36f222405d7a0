// A thread that must not wait for others: the lab's network emulator, whose lateness everybody on
// the emulated network would measure.
#pragma once

#include "base/result.h"

namespace perigee::sys {

// Ahead of every ordinary thread (SCHED_FIFO), with timers that are not rounded. What it starts is
// ordinary again. permission_denied without CAP_SYS_NICE: the timers are exact all the same.
Result<void> make_thread_real_time();

}  // namespace perigee::sys
