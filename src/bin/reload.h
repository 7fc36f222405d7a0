// How a node's perigeed is replaced while it runs: `perigeed reload`, and what the supervisor does
// about it (docs/operate/upgrade.md).
#pragma once

#include <string>

#include "base/result.h"
#include "config/paths.h"
#include "supervisor/supervisor.h"
#include "sys/posix_host.h"

namespace perigee::bin {

// Has the supervisor that runs become this program, with its roles, and waits until they are.
Result<void> reload_main(const config::Paths& paths);

// The path of this program. Asked for at the start: a file that is replaced has none any more.
std::string own_program();

// The supervisor's life beside `supervisor.run()`: finishes the reload that it was started for, and
// begins the next one at SIGHUP, by which it becomes another program. Returns at SIGTERM or SIGINT.
async::Task<void> live(sys::PosixHost& host, supervisor::Supervisor& supervisor,
                       const config::Paths& paths, const std::string& config_file);

}  // namespace perigee::bin
