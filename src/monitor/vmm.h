// Vmm: what a monitor needs of a virtual machine monitor, so that QEMU and others fit behind one
// seam: what to start, and how to reach the guest's control channel and its console, at first and
// after an adoption.
//
//   prepare()                      sockets, tap, files; the VMM can now be connected to, even
//   before it runs command()  → spawn → started() the VMM has its descriptors, ours are closed
//   connect_channel(), …           again after each drop
#pragma once

#include <memory>

#include "async/task.h"
#include "base/result.h"
#include "sys/network.h"
#include "sys/process.h"

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
  // An argument of the VMM's command line that no other VM's has.
  virtual std::string distinctive_argument() const = 0;
  // Removes what the VMM leaves behind.
  virtual void clean_up() = 0;
};

}  // namespace perigee::monitor
