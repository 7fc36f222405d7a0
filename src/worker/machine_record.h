// How a machine's record changes: one function for each thing that happens, each keeping state,
// events and sequence together. Pure; machine_store.h writes the result to disk.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "worker/machine_types.h"

namespace perigee::worker {

// A machine that was never seen before.
Record new_record(model::Machine machine);

void order_boot(Record& record, WallTime now);
void accept_running(Record& record, const vm::VmStatus& vm, WallTime now);
void note_listening(Record& record);
// Where checks gate routing they decide whether it listens, too.
void note_checks(Record& record, const std::vector<model::CheckStatus>& checks, WallTime now);
void note_silence(Record& record, const Silence& silence);
void acknowledge(Record& record);
void begin_suspend(Record& record, WallTime now);
// The VM could not be saved: it runs on.
void note_suspend_failure(Record& record, const Error& error, WallTime now);
// The snapshot is gone, used up or not to be used.
void note_discarded(Record& record);
// `state` from stop_state(). Stopping for the node's sake is undone when the node is up again.
void begin_stop(Record& record, model::MachineState state, bool node_down, WallTime now);
// The time to wait before the next boot, where the restart policy orders one.
std::optional<Duration> note_exit(Record& record, const vm::VmStatus& vm, WallTime now);
std::optional<Duration> note_loss(Record& record, WallTime now);
// The host was restarted, and the VM went with it: a machine that ran runs again, whatever its
// restart policy says and without counting as a restart by it.
void note_host_restart(Record& record, WallTime now);
// A boot that failed before the app ran. The time to wait before the next attempt; nullopt: given
// up, the machine is `failed`. `failures` in a row, this one included.
std::optional<Duration> note_boot_failure(Record& record, const Error& error, int failures,
                                          WallTime now);
// A user's signal was sent to the app.
void note_signal(Record& record, int number, WallTime now);
void note_forgotten(Record& record);
void settle(Record& record, bool node_down, WallTime now);
void begin_removal(Record& record);
void note_removed(Record& record, WallTime now);

}  // namespace perigee::worker
