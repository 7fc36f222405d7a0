// Starts the app: resolves its user, directory, environment and program inside its root, then forks
// and executes it in its own session, with stdin from /dev/null and stdout and stderr as pipes.
#pragma once

#include <sys/types.h>

#include "channel/types.h"
#include "init/result.h"
#include "init/system.h"

namespace perigee::init {

struct App {
  pid_t pid = 0;
  Fd out;  // read ends, non-blocking
  Fd err;
};

// Fails also when execve does: the child reports its errno through a pipe before it ends.
Result<App> spawn(const channel::Configure& configure);

}  // namespace perigee::init
