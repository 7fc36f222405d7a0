// The commands below `perigee lab`. They act on this machine, not on an API.
#pragma once

#include "async/task.h"
#include "base/result.h"
#include "cli/session.h"
#include "lab/folder.h"

namespace perigee::cli {

// The lab of --dir, for root alone.
async::Task<Result<lab::Lab>> open_lab(Session& session);

async::Task<Result<void>> run_lab_up(Session& session);
async::Task<Result<void>> run_lab_down(Session& session);
async::Task<Result<void>> run_lab_status(Session& session);
async::Task<Result<void>> run_lab_change(Session& session);  // cut, heal, degrade or capture
async::Task<Result<void>> run_lab_curl(Session& session);
async::Task<Result<void>> run_lab_exec(Session& session);
async::Task<Result<void>> run_lab_latency(Session& session);
async::Task<Result<void>> run_lab_load(Session& session);
async::Task<Result<void>> run_lab_wan(Session& session);

}  // namespace perigee::cli
