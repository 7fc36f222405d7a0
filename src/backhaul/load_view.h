// LoadView: how many requests machines of other nodes have, as far as this router can tell: its own
// are counted here, and what others have there the machine's node tells (load_feed.h). Pure.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <utility>

namespace perigee::backhaul {

class LoadView {
 public:
  // One request of ours.
  class Slot {
   public:
    Slot() = default;
    Slot(LoadView& view, std::string machine) : view_(&view), machine_(std::move(machine)) {
      ++view_->machines_[machine_].own;
    }
    Slot(Slot&& other) noexcept
        : view_(std::exchange(other.view_, nullptr)), machine_(std::move(other.machine_)) {}
    Slot& operator=(Slot&& other) noexcept;
    ~Slot() { release(); }

   private:
    void release();
    LoadView* view_ = nullptr;
    std::string machine_;
  };

  // Called with a machine's id when it may have fewer.
  void on_change(std::function<void(const std::string&)> told) { told_ = std::move(told); }

  // `node` counts `others` requests at its machine, ours not included.
  void told(const std::string& node, const std::string& machine, int others);
  // Nothing is heard from it any more.
  void forget(const std::string& node);
  int in_flight(const std::string& machine) const;
  std::size_t size() const { return machines_.size(); }

 private:
  struct Load {
    int own = 0;
    int others = 0;
    std::string node{};  // that told `others`
  };
  std::unordered_map<std::string, Load> machines_;
  std::function<void(const std::string&)> told_ = [](const std::string&) {};
};

}  // namespace perigee::backhaul
