#include "router/app_budgets.h"

#include "router/limits.h"

namespace perigee::router {
namespace {

constexpr std::array<std::size_t, kResources> kMost{kMaxAppRequests, kMaxAppTcpConnections,
                                                    kMaxAppKeptBytes, kMaxAppCompressions};

}  // namespace

std::string_view name(Resource resource) {
  switch (resource) {
    case Resource::requests:
      return "requests";
    case Resource::tcp_connections:
      return "tcp_connections";
    case Resource::kept_bytes:
      return "kept_bytes";
    case Resource::compressions:
      return "compressions";
  }
  return "";
}

AppBudgets::Share& AppBudgets::Share::operator=(Share&& other) noexcept {
  if (this == &other) return *this;
  clear();
  budgets_ = std::exchange(other.budgets_, nullptr);
  resource_ = other.resource_;
  app_ = std::move(other.app_);
  held_ = std::exchange(other.held_, 0);
  total_ = std::exchange(other.total_, nullptr);
  return *this;
}

bool AppBudgets::Share::grow(std::size_t amount) {
  if (budgets_ == nullptr) return true;
  const auto index = static_cast<std::size_t>(resource_);
  if (budgets_->used(app_, resource_) + amount > kMost[index]) {
    ++budgets_->refusals_[index];
    return false;
  }
  if (total_ == nullptr) total_ = &budgets_->used_[index][app_];
  *total_ += amount;
  held_ += amount;
  return true;
}

void AppBudgets::Share::clear() {
  if (total_ == nullptr) return;
  *total_ -= std::exchange(held_, 0);
  if (*std::exchange(total_, nullptr) == 0) {
    budgets_->used_[static_cast<std::size_t>(resource_)].erase(app_);
  }
}

std::size_t AppBudgets::used(const std::string& app, Resource resource) const {
  const Use& use = used_[static_cast<std::size_t>(resource)];
  const auto known = use.find(app);
  return known == use.end() ? 0 : known->second;
}

}  // namespace perigee::router
