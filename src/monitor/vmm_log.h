// VmmLog: what a VMM writes to its standard output and error, in `vmm.log` and `vmm.1.log` of the
// VM's directory, which is the working directory. A VMM that was taken over may write without end,
// so it gets a named pipe instead of the file. It holds the pipe open both ways, so a monitor that
// has died does not break it, and without blocking, so a slow monitor does not stop it: what the
// pipe has no room for is lost.
//
//   TRY(sys::Fd pipe, open_vmm_pipe());                   // standard output and error of the VMM
//   TRY(VmmLog log, VmmLog::open(VmmLog::Earlier::drop));
//   tasks.spawn(log.pump(host)); …                        // until it is cancelled
#pragma once

#include <string>

#include "async/task.h"
#include "base/result.h"
#include "monitor/bounded_log.h"
#include "sys/fd.h"
#include "sys/host.h"

namespace perigee::monitor {

// The VMM's end; the pipe is made where it is not there.
Result<sys::Fd> open_vmm_pipe();
void remove_vmm_pipe();

class VmmLog {
 public:
  // What the VMM of an earlier boot has said is of no use to the next.
  enum class Earlier { keep, drop };
  static Result<VmmLog> open(Earlier earlier);

  async::Task<void> pump(sys::Host& host);
  // Takes what is in the pipe, without waiting.
  void drain();
  // What the VMM has complained about first, cut to a sensible length.
  std::string first_line() const;

 private:
  explicit VmmLog(BoundedLog log) : log_(std::move(log)) {}
  BoundedLog log_;
};

}  // namespace perigee::monitor
