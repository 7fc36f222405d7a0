// LogArchive: the output of machines that are gone, kept on their node so that a failed deploy can
// be read afterwards: <directory>/<app>/<ended, unix s>-<bytes>-<machine>/ (docs/formats/
// output-log.md). The name says all that the bounds need.
#pragma once

#include <string>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "sys/disk.h"
#include "worker/config.h"

namespace perigee::worker {

struct ArchivedLog {
  AppName app;
  MachineId machine;
  WallTime ended_at;
  std::uint64_t bytes = 0;
  std::string directory;  // holds output.log and its like
  bool operator==(const ArchivedLog&) const = default;
};

// Which of `logs` the bounds let go: those past their age, then the oldest until the rest fits.
// Pure.
std::vector<ArchivedLog> expired(std::vector<ArchivedLog> logs, const LogRetention& retention,
                                 WallTime now);

class LogArchive {
 public:
  LogArchive(sys::Disk& disk, std::string directory, LogRetention retention)
      : disk_(disk), directory_(std::move(directory)), retention_(retention) {}

  // Copies what a machine has written; nothing where that is nothing. May be called again after a
  // crash: the later copy counts.
  async::Task<Result<void>> keep(AppName app, MachineId machine, std::string vm_dir, WallTime now);
  // Of one app, oldest first.
  async::Task<Result<std::vector<ArchivedLog>>> list(AppName app);
  async::Task<Result<void>> prune(WallTime now);

 private:
  std::string directory_of(const AppName& app) const;
  sys::Disk& disk_;
  std::string directory_;
  LogRetention retention_;
};

}  // namespace perigee::worker
