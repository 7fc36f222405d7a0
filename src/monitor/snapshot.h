// Snapshot: a suspended VM in the working directory: `ram`, `vmm.state` and the record
// `snapshot.json`, which is written last and makes the others one, and is removed before the guest
// goes on, so that no snapshot is resumed twice. Calls block: the monitor has nothing else to do
// while its VM holds still.
#pragma once

#include <string>

#include "base/result.h"
#include "json/json.h"
#include "sys/fd.h"

namespace perigee::monitor {

// Copies what is in `ram` (a memory file) to the file `ram` in the working directory, holes left
// out, and syncs it. Where `ram` is that file already it is only synced. `resource_exhausted`: the
// disk is full.
Result<void> save_ram(int ram);
// Opens the file `ram`: the memory of a VM that is resumed.
Result<sys::Fd> open_saved_ram();
// A memory file of `bytes` zeroes, for a VM that is booted.
Result<sys::Fd> make_ram(std::uint64_t bytes);

// Writes the bytes of a file that QEMU has written without sync to disk; absent is fine.
Result<void> sync_file(const std::string& path);

// The record. `hardware`: vm::hardware_of the VM.
Result<void> write_record(const json::Value& hardware);
// `not_found` without one, `conflict` when it is of a VM with other hardware.
Result<void> check_record(const json::Value& hardware);
// Durably.
Result<void> remove_record();
bool has_record();
// What suspend() had written when it failed.
void remove_snapshot();

}  // namespace perigee::monitor
