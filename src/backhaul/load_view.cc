#include "backhaul/load_view.h"

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
  LoadView& view = *std::exchange(view_, nullptr);
  const auto found = view.machines_.find(machine_);
  if (--found->second.own == 0 && found->second.others == 0) view.machines_.erase(found);
  view.told_(machine_);
}

void LoadView::told(const std::string& node, const std::string& machine, int others) {
  const auto found = machines_.find(machine);
  if (others == 0 && (found == machines_.end() || found->second.own == 0)) {
    if (found != machines_.end()) machines_.erase(found);
    return told_(machine);
  }
  Load& load = machines_[machine];
  load.others = others;
  load.node = node;
  told_(machine);
}

void LoadView::forget(const std::string& node) {
  for (auto& [machine, load] : machines_) {
    if (load.node == node) load.others = 0;
  }
  std::erase_if(machines_,
                [](const auto& each) { return each.second.own == 0 && each.second.others == 0; });
}

int LoadView::in_flight(const std::string& machine) const {
  const auto found = machines_.find(machine);
  return found == machines_.end() ? 0 : found->second.own + found->second.others;
}

}  // namespace perigee::backhaul
