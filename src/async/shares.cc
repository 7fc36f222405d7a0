#include "async/shares.h"

#include <algorithm>
#include <bit>

namespace perigee::async {
namespace {

std::int64_t epoch_of(MonotonicTime now) {
  return now.ns / Shares::kEpoch.count();
}

}  // namespace

ShareId Shares::of(std::uint64_t client) {
  return static_cast<ShareId>(1 + client % kSlots);
}

Duration Shares::left_of(const Slot& slot, std::int64_t epoch) {
  const std::int64_t halvings = std::min<std::int64_t>(epoch - slot.epoch, 62);
  return Duration{slot.used.count() >> halvings};
}

void Shares::charge(ShareId share, Duration used, MonotonicTime now) {
  if (share == kOwnShare) return;
  if (slots_.empty()) slots_.resize(kSlots + 1);
  Slot& slot = slots_[share];
  const std::int64_t epoch = epoch_of(now);
  slot = {.used = left_of(slot, epoch) + used, .epoch = epoch};
}

std::size_t Shares::level(ShareId share, MonotonicTime now) const {
  if (share == kOwnShare || slots_.empty()) return 0;
  const Duration used = left_of(slots_[share], epoch_of(now));
  const auto steps = static_cast<std::uint64_t>(used / kFirstLevel);
  return std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(steps)), kLevels - 1);
}

}  // namespace perigee::async
