// MonitorClient: the driver's end of a monitor's socket (docs/formats/monitor-socket.md).
#pragma once

#include <memory>
#include <string>

#include "async/task.h"
#include "base/result.h"
#include "json/json.h"
#include "sys/host.h"
#include "vm/driver.h"

namespace perigee::vm {

class MonitorClient {
 public:
  // `unavailable` or `not_found` when no monitor listens there.
  static async::Task<Result<std::unique_ptr<MonitorClient>>> connect(sys::Host& host,
                                                                     std::string socket);

  // One request, one answer within `patience`. An error that the monitor reports is the result.
  async::Task<Result<json::Value>> request(json::Value command, Duration patience = 5s);
  // After subscribe(): the present status, then each new one; end_of_stream when the monitor is
  // gone.
  async::Task<Result<void>> subscribe();
  async::Task<Result<VmStatus>> next_status();

  // The connection itself, after a command that turns it into something else. The monitor speaks
  // no word on it before the caller does.
  std::unique_ptr<sys::Stream> release() { return std::move(stream_); }

 private:
  MonitorClient(sys::Host& host, std::unique_ptr<sys::Stream> stream)
      : host_(host), stream_(std::move(stream)) {}
  async::Task<Result<json::Value>> read_line();

  sys::Host& host_;
  std::unique_ptr<sys::Stream> stream_;
  std::string pending_;
};

// The VM's status from a running monitor, asked once.
async::Task<Result<VmStatus>> ask_status(sys::Host& host, std::string socket);

}  // namespace perigee::vm
