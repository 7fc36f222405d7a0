// The record of a VM whose VMM and monitor are both gone: nobody heard how it ended.
#pragma once

#include "async/task.h"
#include "base/result.h"
#include "sys/host.h"
#include "vm/spec.h"

namespace perigee::monitor {

// Removes what the VMM has left and writes exit.json in the working directory, unless one is there.
// A VM with a snapshot is suspended.
async::Task<Result<void>> record_lost_vm(sys::Host& host, vm::BootSpec boot);

}  // namespace perigee::monitor
