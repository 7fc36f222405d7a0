// What the router's parts share on its one thread: the current table, requests in flight per
// machine, counters.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>

#include "async/event.h"
#include "routing/route_table.h"

namespace perigee::router {

// Requests in flight by machine id.
class Loads {
 public:
  class Slot {
   public:
    Slot() = default;
    Slot(Loads& loads, std::string machine) : loads_(&loads), machine_(std::move(machine)) {
      ++loads_->counts_[machine_];
    }
    Slot(Slot&& other) noexcept
        : loads_(std::exchange(other.loads_, nullptr)), machine_(std::move(other.machine_)) {}
    Slot& operator=(Slot&& other) noexcept {
      if (this == &other) return *this;
      release();
      loads_ = std::exchange(other.loads_, nullptr);
      machine_ = std::move(other.machine_);
      return *this;
    }
    ~Slot() { release(); }

   private:
    void release() {
      if (loads_ == nullptr) return;
      const auto found = loads_->counts_.find(machine_);
      if (--found->second == 0) loads_->counts_.erase(found);
      loads_ = nullptr;
    }
    Loads* loads_ = nullptr;
    std::string machine_;
  };

  int of(const std::string& machine) const {
    const auto found = counts_.find(machine);
    return found == counts_.end() ? 0 : found->second;
  }

 private:
  std::unordered_map<std::string, int> counts_;
};

struct Counters {
  std::uint64_t requests = 0;
  std::uint64_t informational_or_ok = 0;  // below 400
  std::uint64_t client_errors = 0;        // 4xx, whoever gave them
  std::uint64_t server_errors = 0;        // 5xx, whoever gave them
  std::uint64_t router_errors = 0;        // answered by an error page of ours
  std::uint64_t clients_gone = 0;
  std::uint64_t connect_failures = 0;
  std::uint64_t repeats = 0;
  std::uint64_t log_lines_dropped = 0;
  std::uint64_t feed_connects = 0;
};

struct State {
  explicit State(async::Loop& loop) : changed(loop) {}
  routing::TablePtr table = std::make_shared<const routing::RouteTable>();
  async::Notify changed;  // a new table
  Loads loads;
  Counters counters;
  std::uint64_t turn = 0;  // breaks ties
  bool feed_connected = false;
  bool from_disk = false;  // the table is the one that was saved
};

}  // namespace perigee::router
