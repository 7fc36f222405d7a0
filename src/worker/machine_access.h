// What worker.sock answers about getting into one machine: an exec session, a signal to the app,
// the console of its kernel. Each takes one request of WorkerApi, for a machine of this node.
#pragma once

#include "base/id.h"
#include "http/message.h"
#include "sys/host.h"

namespace perigee::worker {

class Worker;

// Changes to the exec stream's protocol and carries it to the machine's monitor.
async::Task<void> serve_exec(sys::Host& host, Worker& worker, MachineId id, http::Request& request,
                             http::ResponseWriter& response);
async::Task<void> serve_signal(Worker& worker, MachineId id, http::Request& request,
                               http::ResponseWriter& response);
// What runs in the guest.
async::Task<void> serve_processes(Worker& worker, MachineId id, http::ResponseWriter& response);
async::Task<void> serve_console(sys::Host& host, const Worker& worker, MachineId id,
                                http::ResponseWriter& response);

http::ResponseHead json_head(int status);
async::Task<void> send_error(http::ResponseWriter& response, Error error);

}  // namespace perigee::worker
