// Restart policy: whether a machine whose app exited unasked is started again, and when. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/time.h"
#include "model/types.h"
#include "vm/driver.h"

namespace perigee::worker {

struct RestartVerdict {
  bool again = false;
  Duration delay{};  // until the boot, where `again`
  std::string why;   // for the operator, where it gave up
  bool operator==(const RestartVerdict&) const = default;
};

// `restarts` are the times of earlier restarts by policy; those outside the window don't count.
RestartVerdict decide_restart(const model::RestartPolicy& policy, const vm::VmExit& exit,
                              const std::vector<WallTime>& restarts, WallTime now);

// 100 ms, 200 ms, … 30 s.
Duration restart_delay(std::size_t earlier);
// The `earlier`th retry of a boot that failed.
Duration boot_retry_delay(int earlier);
std::vector<WallTime> within_window(const std::vector<WallTime>& restarts, WallTime now);

}  // namespace perigee::worker
