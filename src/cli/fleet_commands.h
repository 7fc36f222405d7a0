// The commands on where an app runs and how often, and on the servers of the fleet.
#pragma once

#include "async/task.h"
#include "base/result.h"
#include "cli/session.h"

namespace perigee::cli {

async::Task<Result<void>> run_regions_list(Session& session);
async::Task<Result<void>> run_regions_set(Session& session);
async::Task<Result<void>> run_regions_change(Session& session);  // add or remove
async::Task<Result<void>> run_scale_show(Session& session);
async::Task<Result<void>> run_scale_count(Session& session);
async::Task<Result<void>> run_nodes_list(Session& session);
async::Task<Result<void>> run_nodes_show(Session& session);
async::Task<Result<void>> run_nodes_act(Session& session);  // cordon, drain, rotate-keys …
async::Task<Result<void>> run_nodes_remove(Session& session);

}  // namespace perigee::cli
