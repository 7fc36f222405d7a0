#include "router/replay_body.h"

#include <algorithm>

#include "router/limits.h"

namespace perigee::router {

void ReplayBody::record(AppBudgets::Share budget) {
  if (recording_ || taken_ > 0) return;
  recording_ = true;
  budget_ = std::move(budget);
}

bool ReplayBody::rewind() {
  if (taken_ != kept_.size()) return false;
  position_ = 0;
  return true;
}

// What a former reader left unread of the kept bytes is still to come.
void ReplayBody::forget() {
  recording_ = false;
  kept_.erase(0, position_);
  position_ = 0;
  if (kept_.empty()) let_go();
}

void ReplayBody::let_go() {
  kept_ = {};
  position_ = 0;
  budget_.clear();
}

async::Task<Result<std::size_t>> ReplayBody::read(std::span<char> into) {
  if (position_ < kept_.size()) {
    const std::size_t count = std::min(into.size(), kept_.size() - position_);
    std::ranges::copy(std::string_view(kept_).substr(position_, count), into.begin());
    position_ += count;
    if (!recording_ && position_ == kept_.size()) let_go();
    co_return count;
  }
  CO_TRY(const std::size_t count, co_await source_.read(into));
  taken_ += count;
  if (!recording_) co_return count;
  if (kept_.size() + count > kMaxReplay || !budget_.grow(count)) {
    forget();
  } else {
    kept_.append(into.data(), count);
    position_ = kept_.size();
  }
  co_return count;
}

std::size_t ReplayBody::ready() const {
  return kept_.size() - position_ + source_.ready();
}

}  // namespace perigee::router
