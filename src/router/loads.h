// Loads: what machines have to do, as this router sees it; what control and other nodes' routers
// are told. Owned by State, on the router's loop.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "backhaul/load_teller.h"
#include "router/occupancy.h"

namespace perigee::router {

// What machines have to do, as this router sees it.
struct MachineLoad {
  int in_flight = 0;
  int peak = 0;                // most in flight at once since the last report
  std::uint64_t requests = 0;  // begun since the last report
  bool operator==(const MachineLoad&) const = default;
};

// Requests in flight by machine id, and which of them came from routers of other nodes. What is
// begun here counts for all loops of the process (Occupancy); what is reported is this loop's.
class Loads : public backhaul::LoadSource {
 public:
  using Report = std::vector<std::pair<std::string, MachineLoad>>;

  class Slot {
   public:
    Slot() = default;
    // `from`: the node whose router it came through; empty for this one.
    Slot(Loads& loads, std::string machine, std::string from = {})
        : Slot(&loads, std::move(machine), std::move(from)) {
      loads.entry(machine_).everywhere->enter();
      loads.note_begin(machine_, from_);
    }
    Slot(Slot&& other) noexcept
        : loads_(std::exchange(other.loads_, nullptr)),
          machine_(std::move(other.machine_)),
          from_(std::move(other.from_)) {}
    Slot& operator=(Slot&& other) noexcept {
      if (this == &other) return *this;
      release();
      loads_ = std::exchange(other.loads_, nullptr);
      machine_ = std::move(other.machine_);
      from_ = std::move(other.from_);
      return *this;
    }
    ~Slot() { release(); }

   private:
    friend class Loads;
    // Of what has begun.
    Slot(Loads* loads, std::string machine, std::string from)
        : loads_(loads), machine_(std::move(machine)), from_(std::move(from)) {}
    void release() {
      if (loads_ != nullptr) std::exchange(loads_, nullptr)->end(machine_, from_);
    }
    Loads* loads_ = nullptr;
    std::string machine_;
    std::string from_;
  };

  explicit Loads(std::shared_ptr<Occupancy> occupancy) : occupancy_(std::move(occupancy)) {}

  // A place at the machine, where it has fewer than `hard_limit` (0: no limit) from all loops.
  std::optional<Slot> take(const std::string& machine, int hard_limit,
                           const std::string& from = {}) {
    Occupancy::Machine& all = *entry(machine).everywhere;
    if (hard_limit > 0 && !all.try_enter(hard_limit)) return std::nullopt;
    if (hard_limit == 0) all.enter();
    note_begin(machine, from);
    return Slot(this, machine, from);
  }
  // Somebody here waits for a place there: a request that ends on any loop is told to all.
  void await(const std::string& machine) { occupancy_->await(*entry(machine).everywhere); }

  // Called with a machine's id at each begin and end.
  void on_change(std::function<void(const std::string&)> told) { told_ = std::move(told); }

  int of(const std::string& machine) const { return entry(machine).everywhere->count(); }

  std::vector<std::string> loaded_machines() const override {
    std::vector<std::string> out;
    for (const auto& [machine, each] : machines_) {
      if (each.load.in_flight > 0) out.push_back(machine);
    }
    return out;
  }
  int others(const std::string& machine, const std::string& from) const override {
    const auto theirs = from_.find({machine, from});
    return of(machine) - (theirs == from_.end() ? 0 : theirs->second);
  }

  // Machines that had anything to do since the last acknowledged report.
  Report report() const {
    Report out;
    for (const auto& [machine, each] : machines_) {
      if (each.load != MachineLoad{}) out.emplace_back(machine, each.load);
    }
    return out;
  }
  // The report has arrived: what it told is not told again, and who has nothing to do is forgotten.
  void acknowledge(const Report& told) {
    for (const auto& [machine, load] : told) {
      MachineLoad& now = machines_.at(machine).load;
      now.requests -= load.requests;
      now.peak = now.in_flight;
    }
    std::erase_if(machines_, [](const auto& each) { return each.second.load == MachineLoad{}; });
  }

 private:
  struct Entry {
    MachineLoad load;  // from this loop
    Occupancy::MachinePtr everywhere;
  };
  Entry& entry(const std::string& machine) const {
    Entry& found = machines_[machine];
    if (found.everywhere == nullptr) found.everywhere = occupancy_->machine(machine);
    return found;
  }
  void note_begin(const std::string& machine, const std::string& from) {
    MachineLoad& load = entry(machine).load;
    load.peak = std::max(load.peak, ++load.in_flight);
    ++load.requests;
    if (!from.empty()) ++from_[{machine, from}];
    if (told_) told_(machine);
  }
  void end(const std::string& machine, const std::string& from) {
    Entry& of = machines_.at(machine);
    --of.load.in_flight;
    occupancy_->leave(*of.everywhere, machine);
    if (!from.empty()) {
      const auto theirs = from_.find({machine, from});
      if (--theirs->second == 0) from_.erase(theirs);
    }
    if (told_) told_(machine);
  }

  std::shared_ptr<Occupancy> occupancy_;
  // Of those that were asked for: a machine is looked up in the Occupancy once.
  mutable std::unordered_map<std::string, Entry> machines_;
  std::map<std::pair<std::string, std::string>, int> from_;  // (machine, node) → requests
  std::function<void(const std::string&)> told_;
};

}  // namespace perigee::router
