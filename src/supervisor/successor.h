// A successor: a process that takes over from one that serves. Both have the same sockets, so what
// waits in their queues is lost by nobody; the former one goes on until the new one says, by a byte
// through a pipe, that it serves.
//
//   sys::Spawn spawn{.argv = …};
//   pass_listeners(spawn, …);
//   CO_TRY(auto process, co_await start_successor(host, std::move(spawn)));   // it serves now
//
// In the successor: report_ready(), once.
#pragma once

#include <memory>

#include "async/task.h"
#include "base/result.h"
#include "sys/posix_host.h"

namespace perigee::supervisor {

inline constexpr const char* kReadyVariable = "PERIGEE_READY";  // the pipe's number

// An error: it did not come to serve, and has been ended.
async::Task<Result<std::unique_ptr<sys::Process>>> start_successor(sys::PosixHost& host,
                                                                   sys::Spawn spawn);
// Whether somebody waits for this process to serve.
bool takes_over();
// Says that it does; nothing where nobody waits.
void report_ready();

}  // namespace perigee::supervisor
