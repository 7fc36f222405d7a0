// Id<Tag>: a string that names one kind of thing, so that an app's name can't be passed where a
// machine's id is wanted. Values are plain strings on the wire.
#pragma once

#include <fmt/core.h>

#include <compare>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace perigee {

template <typename Tag>
class Id {
 public:
  Id() = default;
  explicit Id(std::string value) : value_(std::move(value)) {}

  const std::string& str() const { return value_; }
  bool empty() const { return value_.empty(); }
  auto operator<=>(const Id&) const = default;

 private:
  std::string value_;
};

using AppName = Id<struct AppTag>;
using MachineId = Id<struct MachineTag>;
using NodeId = Id<struct NodeTag>;
using RegionCode = Id<struct RegionTag>;
using VolumeId = Id<struct VolumeTag>;
using SnapshotId = Id<struct SnapshotTag>;

}  // namespace perigee

template <typename Tag>
struct std::hash<perigee::Id<Tag>> {
  std::size_t operator()(const perigee::Id<Tag>& id) const noexcept {
    return std::hash<std::string_view>{}(id.str());
  }
};

// An id prints as its string.
template <typename Tag>
struct fmt::formatter<perigee::Id<Tag>> : fmt::formatter<std::string_view> {
  auto format(const perigee::Id<Tag>& id, fmt::format_context& context) const {
    return fmt::formatter<std::string_view>::format(id.str(), context);
  }
};
