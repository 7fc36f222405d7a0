#include "config/mounts.h"

#include <array>

#include "base/text.h"
#include "model/json.h"
#include "model/limits.h"

namespace perigee::config {
namespace {

constexpr std::int64_t kMibPerGib = 1024;

// 10, "10", "10gb", "512mb": gigabytes without a unit.
std::optional<std::int64_t> size_mib(const TomlValue& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value.data)) return *number * kMibPerGib;
  if (value.string() == nullptr) return std::nullopt;
  std::string text = to_lower(*value.string());
  std::int64_t unit = kMibPerGib;
  constexpr std::array<std::pair<std::string_view, std::int64_t>, 6> kUnits{{{"gib", kMibPerGib},
                                                                             {"gb", kMibPerGib},
                                                                             {"g", kMibPerGib},
                                                                             {"mib", 1},
                                                                             {"mb", 1},
                                                                             {"m", 1}}};
  for (const auto& [suffix, mib] : kUnits) {
    if (!text.ends_with(suffix)) continue;
    text.resize(text.size() - suffix.size());
    unit = mib;
    break;
  }
  const auto number = parse_uint(trim(text), model::kMaxVolumeMib);
  if (!number) return std::nullopt;
  return static_cast<std::int64_t>(*number) * unit;
}

Result<std::string> required(Section& section, std::string_view key) {
  TRY(auto text, section.string(key));
  if (!text || text->empty()) return section.wrong(key, "missing");
  return *std::move(text);
}

Result<model::Mount> read_mount(Section& section) {
  TRY_VOID(section.refuse({"processes", "snapshot_retention", "scheduled_snapshots",
                           "auto_extend_size_threshold", "auto_extend_size_increment",
                           "auto_extend_size_limit"}));
  model::Mount mount;
  TRY(mount.name, required(section, "source"));
  if (const auto sound = model::check_volume_name(mount.name); !sound)
    return section.wrong("source", sound.error().context);
  TRY(mount.path, required(section, "destination"));
  if (const TomlValue* size = section.value("initial_size")) {
    const auto mib = size_mib(*size);
    if (!mib || *mib < model::kMinVolumeMib || *mib > model::kMaxVolumeMib)
      return section.wrong("initial_size",
                           fmt::format("expected a size from {} MiB to {} GiB, such as \"10gb\"",
                                       model::kMinVolumeMib, model::kMaxVolumeMib / kMibPerGib));
    mount.size_mib = *mib;
  }
  TRY(mount.encrypted, section.boolean("encrypted"));
  section.warn_unknown();
  return mount;
}

}  // namespace

Result<std::vector<model::Mount>> read_mounts(Section& top) {
  TRY(auto sections, top.sections("mounts"));
  if (sections.size() > model::kMaxMounts)
    return top.wrong("mounts", fmt::format("a machine has at most {}", model::kMaxMounts));
  std::vector<model::Mount> mounts;
  for (Section& section : sections) {
    TRY(model::Mount mount, read_mount(section));
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

}  // namespace perigee::config
