#include "backhaul/load_view.h"

#include <algorithm>

#include "backhaul/limits.h"

namespace perigee::backhaul {

LoadView::Slot& LoadView::Slot::operator=(Slot&& other) noexcept {
  if (this == &other) return *this;
  release();
  view_ = std::exchange(other.view_, nullptr);
  machine_ = std::move(other.machine_);
  return *this;
}

void LoadView::Slot::release() {
  if (view_ == nullptr) return;
  --view_->machines_.at(machine_).own;
  view_ = nullptr;
}

bool LoadView::fresh(const Load& load, MonotonicTime now) {
  return load.told > 0 && now - load.told_at <= kLoadFresh;
}

void LoadView::told(const std::string& machine, int in_flight, MonotonicTime now) {
  Load& load = machines_[machine];
  load.told = in_flight;
  load.own_then = load.own;
  load.told_at = now;
}

int LoadView::in_flight(const std::string& machine, MonotonicTime now) const {
  const auto found = machines_.find(machine);
  if (found == machines_.end()) return 0;
  const Load& load = found->second;
  if (!fresh(load, now)) return load.own;
  return std::max(load.own, load.told + load.own - load.own_then);
}

void LoadView::forget_old(MonotonicTime now) {
  std::erase_if(machines_, [now](const auto& each) {
    return each.second.own == 0 && !fresh(each.second, now);
  });
}

}  // namespace perigee::backhaul
