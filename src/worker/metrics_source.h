// Samples for metrics.h: the guest is asked through the driver, the host's part is read from /proc
// and /sys. Nothing is sampled unless somebody asks.
#pragma once

#include "async/task.h"
#include "sys/host.h"
#include "vm/driver.h"
#include "worker/metrics.h"

namespace perigee::worker {

class MachineReconciler;

// What is known of the machine without waiting, and the pids to look at.
struct SampleSeed {
  MachineSample sample;
  bool runs = false;
  pid_t vmm_pid = 0;
  pid_t monitor_pid = 0;
};
SampleSeed seed_of(const MachineReconciler& reconciler);

// Bounded by the guest's patience; what can't be had is left out.
async::Task<MachineSample> take_sample(sys::Host& host, vm::Driver& driver, SampleSeed seed);

}  // namespace perigee::worker
