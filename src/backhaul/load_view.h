// LoadView: how many requests machines of other nodes have, as far as this router can tell: its own
// are counted, those of other routers are known from what the machine's node told with its last
// answer. Pure.
#pragma once

#include <string>
#include <unordered_map>
#include <utility>

#include "base/time.h"

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

  // The machine's node counts `in_flight`, ours included.
  void told(const std::string& machine, int in_flight, MonotonicTime now);
  int in_flight(const std::string& machine, MonotonicTime now) const;
  void forget_old(MonotonicTime now);
  std::size_t size() const { return machines_.size(); }

 private:
  struct Load {
    int own = 0;
    int told = 0;
    int own_then = 0;  // when it was told
    MonotonicTime told_at{};
  };
  static bool fresh(const Load& load, MonotonicTime now);
  std::unordered_map<std::string, Load> machines_;
};

}  // namespace perigee::backhaul
