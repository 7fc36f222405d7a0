// Vmm: what a monitor needs of a virtual machine monitor, so that QEMU and others fit behind one
// seam: what to start, and how to reach the guest's control channel and its console, at first and
// after an adoption.
//
//   prepare()                       sockets, tap, memory, files; the VMM can now be connected to,
//                                   even before it runs
//   command() → spawn → started()   the VMM has its descriptors, ours are closed
//   start_guest()                   the guest runs: from its start, or from its snapshot on
//   connect_channel(), …            again after each drop
//   suspend()                       the VM is on disk and holds still; the VMM is to be killed
#pragma once

#include <memory>
#include <string>

#include "async/task.h"
#include "base/result.h"
#include "sys/host.h"
#include "sys/network.h"
#include "sys/process.h"
#include "vm/spec.h"
#include "vm/vmm_counters.h"

namespace perigee::monitor {

class Vmm {
 public:
  virtual ~Vmm() = default;
  virtual Result<void> prepare() = 0;
  // Valid until started().
  virtual sys::Spawn command() = 0;
  virtual void started() = 0;
  virtual async::Task<Result<std::unique_ptr<sys::Stream>>> connect_channel(Deadline deadline) = 0;
  virtual async::Task<Result<std::unique_ptr<sys::Stream>>> connect_console(Deadline deadline) = 0;
  // Saves the guest to the working directory (snapshot.h). After success it stands still for good;
  // after an error it runs on. `pid`: the VMM.
  virtual async::Task<Result<void>> suspend(pid_t pid, Deadline deadline) = 0;
  // Has the VMM that was started run the guest. Where it is to be resumed the VMM loads the
  // snapshot first, which is used up before the guest goes on.
  virtual async::Task<Result<void>> start_guest(Deadline deadline) = 0;
  // The guest stands still, what it has flushed is in its disks' files; run_on() ends it.
  virtual async::Task<Result<void>> pause(Deadline deadline) = 0;
  // Lets a guest run on that stands still, perhaps since an earlier monitor. An error: it can't.
  virtual async::Task<Result<void>> run_on(Deadline deadline) = 0;
  // An argument of the VMM's command line that no other VM's has.
  virtual std::string distinctive_argument() const = 0;
  // How the VMM ended, for a person.
  virtual std::string exit_words(const sys::ExitStatus& status) const = 0;
  // Reads what the VMM counts, while it runs; returns at once for one that counts nothing.
  virtual async::Task<void> follow_counters() = 0;
  virtual const vm::VmmCounts* counts() const = 0;  // null likewise
  // Removes what the VMM leaves behind, also where an earlier monitor has started it.
  virtual void clean_up() = 0;
};

// The one that `boot` names. `boot` must outlive it.
std::unique_ptr<Vmm> make_vmm(sys::Host& host, const vm::BootSpec& boot);

}  // namespace perigee::monitor
