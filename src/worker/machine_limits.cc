#include "worker/machine_limits.h"

#include <algorithm>

namespace perigee::worker {
namespace {

constexpr int kVmmPercent = 25;  // for what the VMM does beside running the guest
constexpr int kNetMbit = 1000;
constexpr int kDiskIopsPerCpu = 4000;
constexpr int kDiskMibPerCpu = 64;  // more, and one guest fills a common disk's queue
// Where processors are short, a shared one has a quarter of a performance one's part.
constexpr int kSharedWeight = 25;
constexpr int kPerformanceWeight = 100;

int or_else(int value, int fallback) {
  return value > 0 ? value : fallback;
}

// A machine that is held to less than its size weighs less, too: it would otherwise have the part
// of a whole one while it runs, on every processor that its threads are on, and its neighbours wait
// for the rest of each period.
int weight_of(const model::Guest& guest, int cpu_percent) {
  const int whole = guest.cpu_kind == "shared" ? kSharedWeight : kPerformanceWeight;
  const int percent = std::min(cpu_percent, guest.cpus * 100);
  return std::max(1, whole * percent / 100);
}

}  // namespace

model::MachineLimits limits_of(const model::MachineConfig& config) {
  const int cpus = config.guest.cpus;
  const model::MachineLimits& set = config.limits;
  return {.cpu_percent = or_else(set.cpu_percent, cpus * 100 + kVmmPercent),
          .net_mbit = or_else(set.net_mbit, kNetMbit),
          .disk_iops = or_else(set.disk_iops, cpus * kDiskIopsPerCpu),
          .disk_mib_s = or_else(set.disk_mib_s, cpus * kDiskMibPerCpu)};
}

vm::VmLimits vm_limits(const model::MachineConfig& config) {
  const model::MachineLimits limits = limits_of(config);
  return {.cpu_percent = limits.cpu_percent,
          .cpu_weight = weight_of(config.guest, limits.cpu_percent),
          .disk_iops = limits.disk_iops,
          .disk_mib_s = limits.disk_mib_s};
}

}  // namespace perigee::worker
