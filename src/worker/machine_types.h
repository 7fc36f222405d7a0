// What the worker knows of one machine: the Record, which is on disk before the worker acts on it,
// and Observed, which it finds out again after its own restart.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "model/types.h"
#include "vm/driver.h"

namespace perigee::worker {

// The VM of a machine as far as the record goes. It makes each boot and each exit count once,
// wherever the worker was killed.
enum class BootPhase {
  none,     // there is no VM
  ordered,  // a boot was ordered: there may be a VM
  ended,    // its exit is in the record; the driver may still have to forget it
};

// machines/<id>/machine.json
struct Record {
  model::Machine machine;       // desired, as control said last
  model::MachineStatus status;  // observed, as it is reported
  BootPhase boot = BootPhase::none;
  bool resume = false;   // the node stopped it (`perigee down`): boot it when the node is up again
  std::string snapshot;  // the instance that is suspended in the VM's directory; empty: none
  std::vector<WallTime> restarts;  // by policy, within the window
  bool operator==(const Record&) const = default;
};

// Why the readiness probe has not got through.
struct Silence {
  std::string error;       // a sentence for the machine's owner
  std::string listens_on;  // where the app listens instead; empty: nowhere
  bool operator==(const Silence&) const = default;
};

struct Observed {
  std::optional<vm::VmStatus> vm;
  std::optional<MonotonicTime> signalled_at;  // the stop signal was sent by this worker
  std::optional<MonotonicTime> killed_at;
  bool suspended = false;                  // the VM is saved; its exit is about to be told
  std::optional<MonotonicTime> retry_at;   // not to boot before
  int failed_boots = 0;                    // in a row
  bool listening = false;                  // the probe got through to this boot
  std::optional<Silence> silence;          // what the guest said, asked after a while
  std::vector<model::CheckStatus> checks;  // their results so far, while they run
  bool node_down = false;                  // all VMs are to be stopped
  bool host_restarted = false;  // and this VM, found by its records, may have gone with it
};

}  // namespace perigee::worker
