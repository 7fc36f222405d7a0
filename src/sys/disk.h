// Disk: files, as an interface. PosixDisk runs each call on the thread pool; sim::SimDisk keeps
// files in memory and loses what was not synced when its node crashes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "async/task.h"
#include "base/result.h"

namespace perigee::sys {

enum class Durability {
  cached,
  synced
};  // synced: file and directory are fsynced before the answer

class Disk {
 public:
  virtual ~Disk() = default;
  virtual async::Task<Result<std::string>> read_file(std::string path, std::uint64_t max_bytes) = 0;
  // Replaces the file as a whole (temporary file and rename): readers see the old or the new
  // content.
  virtual async::Task<Result<void>> write_file(std::string path, std::string data, unsigned mode,
                                               Durability durability) = 0;
  virtual async::Task<Result<void>> make_directories(std::string path, unsigned mode) = 0;
  virtual async::Task<Result<void>> remove(std::string path) = 0;  // absent is fine
  virtual async::Task<Result<void>> remove_tree(
      std::string path) = 0;  // absent is fine; follows no links
  virtual async::Task<Result<std::vector<std::string>>> list(
      std::string path) = 0;  // names, sorted
  virtual async::Task<Result<bool>> exists(std::string path) = 0;
};

}  // namespace perigee::sys
