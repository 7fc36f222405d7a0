// ControlServer: what a monitor answers on its socket (/run/perigee/vm/<machine>.sock). One JSON
// object per line each way; docs/formats/monitor-socket.md. Only root reaches it (socket mode
// 0700).
//
//   {"command":"status"}                → {"status":{…}}
//   {"command":"subscribe"}             → {"status":{…}} now and after each change; the end of the
//   stream
//                                         after the one with state "exited"
//   {"command":"signal","number":15}    → {"ok":true} | {"error":"…","code":"unavailable"}
//   {"command":"kill"}                  → {"ok":true}
//   {"command":"suspend"}               → {"ok":true} once the VM is on disk
//   {"command":"exec"}                  → {"ok":true}; from there on the connection is an exec
//                                         stream (docs/formats/exec-stream.md)
//   {"command":"inquire","topic":"listening"}  → {"listening":[…]}: the guest's answer
//   {"command":"inquire","topic":"stats"}      → {"stats":{…}}
//   {"command":"inquire","topic":"processes"}  → {"processes":[…]}
//   {"command":"inquire","topic":"counters"}   → {"counters":{…}}: the VMM's own, Firecracker alone
#pragma once

#include <memory>
#include <string>

#include "async/event.h"
#include "async/task_group.h"
#include "json/json.h"
#include "sys/host.h"
#include "vm/driver.h"

namespace perigee::monitor {

// The VM as its socket sees it.
class ControlTarget {
 public:
  virtual ~ControlTarget() = default;
  virtual const vm::VmStatus& status() const = 0;
  virtual async::Notify& changed() = 0;
  virtual Result<void> signal_app(int number) = 0;
  virtual Result<void> kill_vm() = 0;
  virtual async::Task<Result<void>> suspend_vm() = 0;
  // Whether a process can be started beside the app; then exec() serves one client to its end.
  virtual Result<void> may_exec() const = 0;
  virtual async::Task<void> exec(sys::Stream& stream, std::string first_bytes) = 0;
  // What the guest says about `topic`: "listening", "stats",
  // "processes"; what the VMM counts: "counters".
  virtual async::Task<Result<json::Value>> inquire(std::string topic) = 0;
  // The guest stands still until release_vm(), which always follows.
  virtual async::Task<Result<void>> hold_vm() = 0;
  virtual async::Task<Result<void>> release_vm() = 0;
};

class ControlServer {
 public:
  ControlServer(sys::Host& host, ControlTarget& target);

  Result<void> listen(const std::string& path);
  // Until every subscriber has been told the end, or the deadline.
  async::Task<void> finish(Deadline deadline);

 private:
  async::Task<void> accept_all();
  async::Task<void> serve(std::unique_ptr<sys::Stream> stream);
  async::Task<Result<void>> answer(sys::Stream& stream, std::string line, std::string& rest);
  async::Task<Result<void>> exec(sys::Stream& stream, std::string first_bytes);
  async::Task<Result<void>> hold(sys::Stream& stream);
  async::Task<Result<void>> report_changes(sys::Stream& stream);
  async::Task<Result<void>> report(sys::Stream& stream, json::Value request);
  async::Task<Result<void>> drained();
  Result<void> act(const json::Value& request, const std::string& command);

  sys::Host& host_;
  ControlTarget& target_;
  std::unique_ptr<sys::Listener> listener_;
  async::TaskGroup acceptor_;
  async::TaskGroup connections_;
};

}  // namespace perigee::monitor
