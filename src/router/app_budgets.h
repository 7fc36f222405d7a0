// AppBudgets: how much of the router one app may have, so that another app always finds some left.
//
//   AppBudgets::Share share = state.budgets.open("hello", Resource::requests);
//   if (!share.grow(1)) …   // the app has all that it may have: refuse, or do without
//
// A share is what one request or connection holds; its destructor gives it back. What an app may
// have of each resource is in limits.h, about half of what there is in all. An app without any use
// is not kept. Owned by State, on the router's loop; outlives its shares.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace perigee::router {

enum class Resource {
  requests,         // under way
  tcp_connections,  // of users
  kept_bytes,       // of request bodies, to be sent again
  compressions,     // of responses, under way
};
inline constexpr std::size_t kResources = 4;
std::string_view name(Resource resource);

class AppBudgets {
 public:
  class Share {
   public:
    Share() = default;
    Share(AppBudgets& budgets, Resource resource, const std::string& app)
        : budgets_(&budgets), resource_(resource), app_(app) {}
    Share(Share&& other) noexcept
        : budgets_(std::exchange(other.budgets_, nullptr)),
          resource_(other.resource_),
          app_(std::move(other.app_)),
          held_(std::exchange(other.held_, 0)),
          total_(std::exchange(other.total_, nullptr)) {}
    Share& operator=(Share&& other) noexcept;
    ~Share() { clear(); }

    // False, and nothing is taken: the app would have more than it may. Without a budget: true.
    bool grow(std::size_t amount);
    void clear();
    std::size_t held() const { return held_; }

   private:
    AppBudgets* budgets_ = nullptr;
    Resource resource_ = Resource::requests;
    std::string app_;
    std::size_t held_ = 0;
    std::size_t* total_ = nullptr;  // of the app; while any is held
  };

  Share open(const std::string& app, Resource resource) { return {*this, resource, app}; }
  std::size_t used(const std::string& app, Resource resource) const;
  std::uint64_t refusals(Resource resource) const {
    return refusals_[static_cast<std::size_t>(resource)];
  }

 private:
  using Use = std::unordered_map<std::string, std::size_t>;  // by app

  std::array<Use, kResources> used_;
  std::array<std::uint64_t, kResources> refusals_{};
};

}  // namespace perigee::router
