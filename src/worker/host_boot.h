// Whether the host was restarted since a worker last ran on it: then VMs that are gone went with
// the host, and run again whatever their restart policy says. A marker below /run tells: it goes
// with the host, or holds the boot that it was made in.
#pragma once

#include <string>

#include "async/task.h"
#include "base/result.h"
#include "sys/disk.h"
#include "worker/config.h"

namespace perigee::worker {

// False too where the config names no place for the marker.
async::Task<bool> was_host_restarted(sys::Disk& disk, const Config& config);
// From now on this boot counts as seen. After the machines' records say what follows from it.
async::Task<Result<void>> note_host_boot(sys::Disk& disk, const Config& config);

}  // namespace perigee::worker
