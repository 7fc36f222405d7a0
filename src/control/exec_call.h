// One command in a machine as a call: what the API's body asks for, run over an exec stream to its
// end, with its output collected up to a bound.
#pragma once

#include <string>

#include "base/time.h"
#include "exec/types.h"
#include "json/json.h"
#include "sys/host.h"

namespace perigee::control {

struct ExecCall {
  exec::Start start;
  std::string input;
  Duration timeout = {};
};
// From {"command":["ls","-l"]} or {"cmd":"ls -l"}, with "stdin", "timeout" (seconds), "user".
Result<ExecCall> exec_call_from(const json::Value& body);

struct ExecResult {
  exec::Exited exited;
  std::string out;
  std::string err;
  bool truncated = false;  // there was more output than kMaxExecOutput
};
json::Value to_json(const ExecResult& result);

// Begins the session and sees it through. `deadline_exceeded` when the time is up: the caller then
// closes the stream, which kills the process.
async::Task<Result<ExecResult>> run_exec_call(sys::Host& host, sys::Stream& stream, ExecCall call);

}  // namespace perigee::control
