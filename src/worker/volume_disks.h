// VolumeDisks: what volumes need of a real disk (ext4 images, sparse copies, sizes, free space), as
// an interface, so that the worker's tests and the simulation need no mke2fs. HostVolumeDisks is
// the real one: each call that makes something makes it whole and synced under its name, or not at
// all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "async/task.h"
#include "base/result.h"
#include "sys/host.h"
#include "worker/volume_plan.h"

namespace perigee::worker {

class VolumeDisks {
 public:
  virtual ~VolumeDisks() = default;
  virtual async::Task<Result<std::optional<DiskFacts>>> look(std::string path) = 0;
  // An empty ext4 file system, encrypted with `key` (of crypto::kXtsKeyBytes) unless that is empty.
  virtual async::Task<Result<void>> make(std::string path, std::int64_t size_mib,
                                         std::string key) = 0;
  // By reference where the host's file system can, else byte by byte, holes left out.
  virtual async::Task<Result<void>> copy(std::string from, std::string to) = 0;
  // Durably; to a name on the same file system.
  virtual async::Task<Result<void>> rename(std::string from, std::string to) = 0;
  // The image's end moves; never back.
  virtual async::Task<Result<void>> grow(std::string path, std::int64_t size_mib) = 0;
  virtual async::Task<Result<std::int64_t>> free_mib(std::string directory) = 0;
};

class HostVolumeDisks : public VolumeDisks {
 public:
  explicit HostVolumeDisks(sys::Host& host) : host_(host) {}
  async::Task<Result<std::optional<DiskFacts>>> look(std::string path) override;
  async::Task<Result<void>> make(std::string path, std::int64_t size_mib, std::string key) override;
  async::Task<Result<void>> copy(std::string from, std::string to) override;
  async::Task<Result<void>> rename(std::string from, std::string to) override;
  async::Task<Result<void>> grow(std::string path, std::int64_t size_mib) override;
  async::Task<Result<std::int64_t>> free_mib(std::string directory) override;

 private:
  sys::Host& host_;
};

// What is being made is called so until it is whole.
inline constexpr std::string_view kPartialSuffix = ".partial";

}  // namespace perigee::worker
