// Which accelerator this host's VMs use, found by a real boot: KVM may be there and still not work
// (a nested host, a missing feature), so a VM is booted to init's first word within a time bound.
// The answer is kept for as long as the host stays up.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "async/task.h"
#include "base/result.h"
#include "sys/host.h"
#include "vm/spec.h"

namespace perigee::vm {

struct AcceleratorVerdict {
  Accelerator accelerator = Accelerator::tcg;
  std::string reason = {};    // why not KVM: "/dev/kvm: no such file"; "" with KVM
  std::uint32_t tsc_khz = 0;  // measured along
  bool operator==(const AcceleratorVerdict&) const = default;
};

struct TrialSettings {
  std::string host_dir;         // keeps accelerator.json; the trial runs in trial/ there
  std::string monitor_program;  // perigee-monitor
  VmmSettings vmm;              // kernel and initrd
};

// The cached verdict of this boot of the host, or a new one. `forced` skips the trial.
async::Task<Result<AcceleratorVerdict>> detect_accelerator(sys::Host& host, TrialSettings settings,
                                                           std::optional<Accelerator> forced);

}  // namespace perigee::vm
