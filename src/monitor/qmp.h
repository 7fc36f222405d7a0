// Qmp: a connection to QEMU's machine protocol (QMP, docs/interop/qmp-spec.txt of QEMU): one JSON
// object per line, commands answered in order, events in between (which are skipped).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "async/task.h"
#include "base/result.h"
#include "json/json.h"
#include "sys/host.h"

namespace perigee::monitor {

class Qmp {
 public:
  // Connects to the Unix socket at `path`, reads the greeting and negotiates no capabilities.
  static async::Task<Result<std::unique_ptr<Qmp>>> connect(sys::Host& host, std::string_view path,
                                                           Deadline deadline);

  // The command's "return"; its error as `internal` with QEMU's sentence; `end_of_stream` when QEMU
  // is gone.
  async::Task<Result<json::Value>> execute(std::string command,
                                           json::Value arguments = json::object({}));

  // How the migration that was begun last goes: "none", "setup", "active", "completed", "failed" …
  async::Task<Result<std::string>> migration_status();

 private:
  explicit Qmp(std::unique_ptr<sys::Stream> stream) : stream_(std::move(stream)) {}
  async::Task<Result<json::Value>> read_line();
  async::Task<Result<void>> negotiate();

  std::unique_ptr<sys::Stream> stream_;
  std::string pending_;
};

}  // namespace perigee::monitor
