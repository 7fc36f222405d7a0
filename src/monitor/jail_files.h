// A jail on disk (vm/jail.h): laid out before the jailer runs, removed after the VMM. Once a VMM
// has run in it the jail's content is the VMM's, and the guest may have taken that over: nothing in
// there is followed out of it, and what is taken from it must be what it should be.
//
// Calls block, in the VM's directory (the monitor's working directory).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "sys/address.h"
#include "sys/fd.h"
#include "vm/jail.h"

namespace perigee::monitor {

// Removes what an earlier boot has left, and makes folders, pipes and files anew. Files are hard
// links; where they are on another file system, shared ones are copied and owned ones refused.
Result<void> lay_out_jail(const vm::JailPlan& plan, vm::JailUser user);
void remove_jail(const vm::JailPlan& plan);

// A socket, or pipe, in the jail: a path for connect(2) or open(2) that leads to no other place,
// good for as long as the descriptor is open.
struct JailEntry {
  sys::Fd held;
  std::string path;
};
enum class JailEntryKind { socket, pipe };
Result<JailEntry> jail_entry(const vm::JailPlan& plan, std::string_view path, JailEntryKind kind);

// Puts a file that the VMM has written to the VM's directory, synced, in place of `name`.
Result<void> take_from_jail(const vm::JailPlan& plan, std::string_view path, std::string_view name,
                            vm::JailUser user);

}  // namespace perigee::monitor
