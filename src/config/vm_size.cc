#include "config/vm_size.h"

#include "base/text.h"
#include "model/limits.h"

namespace perigee::config {
namespace {

constexpr int kSharedMibPerCpu = 256;
constexpr int kPerformanceMibPerCpu = 2048;
constexpr int kMemoryStepMib = 64;

// "shared-cpu-4x", "performance-2x", "dedicated-cpu-1x"; nullopt for other names.
std::optional<model::Guest> preset(std::string_view size) {
  const auto guest = [&](std::string_view prefix, std::string_view kind, int mib_per_cpu) {
    std::optional<model::Guest> out;
    if (!size.starts_with(prefix) || !size.ends_with('x')) return out;
    const auto cpus =
        parse_uint(size.substr(prefix.size(), size.size() - prefix.size() - 1), model::kMaxCpus);
    if (!cpus || *cpus == 0) return out;
    const int count = static_cast<int>(*cpus);
    out = model::Guest{
        .cpu_kind = std::string(kind), .cpus = count, .memory_mib = count * mib_per_cpu};
    return out;
  };
  if (auto shared = guest("shared-cpu-", "shared", kSharedMibPerCpu)) return shared;
  if (auto fast = guest("performance-", "performance", kPerformanceMibPerCpu)) return fast;
  return guest("dedicated-cpu-", "performance", kPerformanceMibPerCpu);
}

// 512, "512", "512mb", "512MiB", "1gb".
std::optional<std::int64_t> memory_mib(const TomlValue& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value.data)) return *number;
  if (value.string() == nullptr) return std::nullopt;
  std::string text = to_lower(*value.string());
  std::int64_t unit = 1;
  for (const auto& [suffix, mib] :
       {std::pair{"gib", 1024}, {"gb", 1024}, {"g", 1024}, {"mib", 1}, {"mb", 1}, {"m", 1}}) {
    if (!text.ends_with(suffix)) continue;
    text.resize(text.size() - std::string_view(suffix).size());
    unit = mib;
    break;
  }
  const auto number = parse_uint(trim(text), model::kMaxMemoryMib);
  if (!number) return std::nullopt;
  return static_cast<std::int64_t>(*number) * unit;
}

}  // namespace

Result<model::Guest> read_vm_size(Section& vm) {
  model::Guest guest;
  TRY(const auto size, vm.string("size"));
  if (size) {
    const auto known = preset(*size);
    if (!known)
      return vm.wrong(
          "size", fmt::format("'{}' is not a size such as shared-cpu-1x or performance-2x", *size));
    guest = *known;
  }
  TRY(const auto cpus, vm.integer("cpus", 1, model::kMaxCpus));
  if (cpus) guest.cpus = static_cast<int>(*cpus);
  TRY(const auto kind, vm.string("cpu_kind"));
  if (kind && *kind != "shared" && *kind != "performance") {
    return vm.wrong("cpu_kind", fmt::format("'{}' is not shared or performance", *kind));
  }
  if (kind) guest.cpu_kind = *kind;
  for (const std::string_view key : {"memory", "memory_mb"}) {
    const TomlValue* value = vm.value(key);
    if (value == nullptr) continue;
    const auto mib = memory_mib(*value);
    if (!mib || *mib < model::kMinMemoryMib || *mib > model::kMaxMemoryMib ||
        *mib % kMemoryStepMib != 0) {
      return vm.wrong(key, fmt::format("expected a multiple of {} MiB from {}, such as \"512mb\"",
                                       kMemoryStepMib, model::kMinMemoryMib));
    }
    guest.memory_mib = static_cast<int>(*mib);
  }
  return guest;
}

Result<model::MachineLimits> read_vm_limits(Section& vm) {
  model::MachineLimits limits;
  const auto read = [&vm](std::string_view key, int max, int& into) -> Result<void> {
    TRY(const auto number, vm.integer(key, 1, max));
    if (number) into = static_cast<int>(*number);
    return {};
  };
  TRY_VOID(read("cpu_percent", model::kMaxCpus * 100, limits.cpu_percent));
  TRY_VOID(read("net_mbit", model::kMaxNetMbit, limits.net_mbit));
  TRY_VOID(read("disk_iops", model::kMaxDiskIops, limits.disk_iops));
  TRY_VOID(read("disk_mib_s", model::kMaxDiskMibPerSecond, limits.disk_mib_s));
  return limits;
}

}  // namespace perigee::config
