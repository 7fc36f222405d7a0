// `perigee doctor --self-test`: boots a microVM on each platform that a host may offer, and says
// what works, how long it took to init's first word, and why the others don't. It makes the same
// trials as the worker, in a folder of its own, and keeps no verdict.
#pragma once

#include "async/task.h"
#include "base/result.h"
#include "cli/session.h"
#include "config/node_config.h"

namespace perigee::cli {

// `unavailable` when nothing works.
async::Task<Result<void>> self_test(Session& session, config::NodeConfig node);

}  // namespace perigee::cli
