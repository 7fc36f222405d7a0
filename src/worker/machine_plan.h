// plan: the next thing to do for one machine, from what is wanted, what the record says and what
// the driver sees. A pure function; machine_reconciler.h carries it out, one step at a time, and
// asks again.
#pragma once

#include <optional>
#include <string_view>

#include "worker/machine_types.h"

namespace perigee::worker {

enum class Action {
  wait,            // until `wake_at`, or until something changes
  boot,            // record the order, prepare disks, boot
  accept,          // the app runs: record it
  note_listening,  // the app's port answered: record it
  note_checks,     // the results of its checks have changed: record them
  note_silence,    // its port does not answer, and why is known: record it
  acknowledge,     // record that this desired_sequence is seen to
  begin_suspend,   // record the state that leads to the snapshot
  suspend,         // save the VM and end it
  discard,         // the snapshot of a machine that will not be resumed
  begin_stop,      // record the state that leads to the stop
  signal,          // the stop signal
  kill,            // the VMM
  note_exit,       // record how the VM ended, and what follows
  note_loss,       // record that the VM vanished without an exit
  forget,          // the driver's record of an exit that is noted
  settle,          // no VM and none wanted: record it
  remove,          // destroyed: directory, address, everything
};

struct Plan {
  Action action = Action::wait;
  std::optional<MonotonicTime> wake_at;
  bool operator==(const Plan&) const = default;
};

Plan plan(const Record& record, const Observed& observed, MonotonicTime now);

// The state in which a VM that has to go is stopped: stopping, destroying or (for another one in
// its place) restarting.
model::MachineState stop_state(const Record& record, const Observed& observed);

// How the VM is stopped: as the call said, else as the machine's configuration has it.
const model::StopConfig& stop_config(const Record& record, const Observed& observed);

// Control wants something that the worker has not acted on yet.
bool is_fresh(const Record& record);

// The next boot goes on from the snapshot.
bool may_resume(const Record& record);

std::string_view name(Action action);

}  // namespace perigee::worker
