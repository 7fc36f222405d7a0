#include "router/occupancy.h"

namespace perigee::router {

Occupancy::MachinePtr Occupancy::machine(const std::string& id) {
  const std::lock_guard lock(mutex_);
  std::weak_ptr<Machine>& known = machines_[id];
  if (MachinePtr found = known.lock()) return found;
  auto made = std::make_shared<Machine>();
  known = made;
  if (machines_.size() >= prune_at_) {  // those that no loop keeps any more
    std::erase_if(machines_, [](const auto& each) { return each.second.expired(); });
    prune_at_ = 2 * machines_.size() + 64;
  }
  return made;
}

std::size_t Occupancy::size() {
  const std::lock_guard lock(mutex_);
  return machines_.size();
}

std::unique_ptr<Occupancy::Listening> Occupancy::on_freed(async::Loop& loop, Told told) {
  const std::lock_guard lock(mutex_);
  listeners_.push_back({.loop = loop, .told = std::make_shared<const Told>(std::move(told))});
  return std::make_unique<Listening>(*this, std::prev(listeners_.end()));
}

// What was posted and not run yet finds nobody once its listener has gone: both happen on its loop.
void Occupancy::tell(const std::string& id) {
  const std::lock_guard lock(mutex_);
  if (listeners_.size() < 2) return;  // its own loop knows
  for (const Listener& each : listeners_) {
    each.loop.post([told = std::weak_ptr<const Told>(each.told), id] {
      if (const auto alive = told.lock()) (*alive)(id);
    });
  }
}

Occupancy::Listening::~Listening() {
  const std::lock_guard lock(occupancy_.mutex_);
  occupancy_.listeners_.erase(at_);
}

}  // namespace perigee::router
