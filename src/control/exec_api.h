// The public API's ways into one machine, below /v1/apps/{app}/machines/{machine}:
//
//   POST exec     {"command":[…] or "cmd":"…","stdin","timeout","user"} → exit code and output
//   GET exec      Upgrade: perigee-exec/1, carried to the worker (docs/formats/exec-stream.md)
//   POST signal   {"signal":"SIGUSR1"}, to the app's main process
//   GET console   what the kernel said on its console, as text
//
// Where the machine is not started, exec and signal are a `conflict` that says what it is.
#pragma once

#include "api/route_table.h"
#include "control/context.h"

namespace perigee::control {

class ExecApi {
 public:
  explicit ExecApi(const Context& context) : context_(context) {}
  void add_routes(api::RouteTable& table, const api::Guard& guard);

 private:
  async::Task<Result<api::Reply>> run(api::Call& call);
  async::Task<Result<void>> open_session(api::Call& call, http::ResponseWriter& response);
  async::Task<Result<api::Reply>> signal(api::Call& call);
  async::Task<Result<api::Reply>> processes(api::Call& call);
  async::Task<Result<void>> console(api::Call& call, http::ResponseWriter& response);

  const Context& context_;
};

}  // namespace perigee::control
