#include "worker/host_boot.h"

#include "base/text.h"

namespace perigee::worker {
namespace {

constexpr std::uint64_t kMaxMarker = 256;
constexpr unsigned kMarkerMode = 0600;

std::string marker_of(const Config& config) {
  return config.run_dir + "/host-boot";
}

}  // namespace

async::Task<bool> was_host_restarted(sys::Disk& disk, const Config& config) {
  if (config.run_dir.empty()) co_return false;
  const Result<std::string> seen = co_await disk.read_file(marker_of(config), kMaxMarker);
  if (!seen) co_return seen.error().code == Code::not_found;
  co_return trim(*seen) != config.host_boot_id;
}

async::Task<Result<void>> note_host_boot(sys::Disk& disk, const Config& config) {
  if (config.run_dir.empty()) co_return Result<void>();
  co_return co_await disk.write_file(marker_of(config), config.host_boot_id + "\n", kMarkerMode,
                                     sys::Durability::cached);
}

}  // namespace perigee::worker
