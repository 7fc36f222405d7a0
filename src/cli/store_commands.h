// The commands below `perigee store`. They open the store itself: no API, nor control, is asked.
#pragma once

#include "async/task.h"
#include "base/result.h"
#include "cli/session.h"

namespace perigee::cli {

async::Task<Result<void>> run_store_backup(Session& session);
async::Task<Result<void>> run_store_restore(Session& session);
async::Task<Result<void>> run_store_migrate(Session& session);

}  // namespace perigee::cli
