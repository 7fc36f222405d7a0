// What the router's parts share on its one thread: the current table, requests in flight per
// machine, counters.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "async/event.h"
#include "backhaul/load_teller.h"
#include "backhaul/load_view.h"
#include "http2/refusals.h"
#include "router/admission_queue.h"
#include "router/app_budgets.h"
#include "router/datagram_counters.h"
#include "router/decisions.h"
#include "router/outliers.h"
#include "router/tcp_counters.h"
#include "routing/route_table.h"

namespace perigee::router {

// What machines have to do, as this router sees it.
struct MachineLoad {
  int in_flight = 0;
  int peak = 0;                // most in flight at once since the last report
  std::uint64_t requests = 0;  // begun since the last report
  bool operator==(const MachineLoad&) const = default;
};

// Requests in flight by machine id, and which of them came from routers of other nodes.
class Loads : public backhaul::LoadSource {
 public:
  using Report = std::vector<std::pair<std::string, MachineLoad>>;

  class Slot {
   public:
    Slot() = default;
    // `from`: the node whose router it came through; empty for this one.
    Slot(Loads& loads, std::string machine, std::string from = {})
        : loads_(&loads), machine_(std::move(machine)), from_(std::move(from)) {
      loads_->begin(machine_, from_);
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
    void release() {
      if (loads_ != nullptr) std::exchange(loads_, nullptr)->end(machine_, from_);
    }
    Loads* loads_ = nullptr;
    std::string machine_;
    std::string from_;
  };

  // Called with a machine's id at each begin and end.
  void on_change(std::function<void(const std::string&)> told) { told_ = std::move(told); }

  int of(const std::string& machine) const {
    const auto found = machines_.find(machine);
    return found == machines_.end() ? 0 : found->second.in_flight;
  }

  std::vector<std::string> loaded_machines() const override {
    std::vector<std::string> out;
    for (const auto& [machine, load] : machines_) {
      if (load.in_flight > 0) out.push_back(machine);
    }
    return out;
  }
  int others(const std::string& machine, const std::string& from) const override {
    const auto theirs = from_.find({machine, from});
    return of(machine) - (theirs == from_.end() ? 0 : theirs->second);
  }

  // Machines that had anything to do since the last acknowledged report.
  Report report() const { return {machines_.begin(), machines_.end()}; }
  // The report has arrived: what it told is not told again.
  void acknowledge(const Report& told) {
    for (const auto& [machine, load] : told) {
      const auto found = machines_.find(machine);
      found->second.requests -= load.requests;
      found->second.peak = found->second.in_flight;
      if (found->second == MachineLoad{}) machines_.erase(found);
    }
  }

 private:
  void begin(const std::string& machine, const std::string& from) {
    MachineLoad& load = machines_[machine];
    load.peak = std::max(load.peak, ++load.in_flight);
    ++load.requests;
    if (!from.empty()) ++from_[{machine, from}];
    if (told_) told_(machine);
  }
  void end(const std::string& machine, const std::string& from) {
    --machines_.at(machine).in_flight;
    if (!from.empty()) {
      const auto theirs = from_.find({machine, from});
      if (--theirs->second == 0) from_.erase(theirs);
    }
    if (told_) told_(machine);
  }

  std::unordered_map<std::string, MachineLoad> machines_;
  std::map<std::pair<std::string, std::string>, int> from_;  // (machine, node) → requests
  std::function<void(const std::string&)> told_;
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
  std::uint64_t queued = 0;             // requests and connections that waited for a place
  std::uint64_t replays = 0;            // taken elsewhere because a response said so
  std::uint64_t compressed = 0;         // responses
  std::uint64_t wakes = 0;              // calls to control to start a machine
  std::uint64_t backhaul_requests = 0;  // from other nodes' routers
  std::uint64_t relayed = 0;            // of them, for machines of a third node
  std::uint64_t refusals = 0;           // of them, which went back to look further
  std::uint64_t log_lines_dropped = 0;
  std::uint64_t feed_connects = 0;
};

struct State {
  explicit State(async::Loop& loop) : changed(loop), queue(loop) {}
  routing::TablePtr table = std::make_shared<const routing::RouteTable>();
  async::Notify changed;  // a new table
  AppBudgets budgets;
  AdmissionQueue queue;
  Outliers outliers;
  Loads loads;                      // at this node's machines
  backhaul::LoadView remote_loads;  // at those of other nodes, which their routers tell
  Decisions decisions;              // for `perigee explain`
  Counters counters;
  http2::Refusals http2;  // of users' connections and streams
  DatagramCounters datagrams;
  TcpCounters tcp;
  std::uint64_t turn = 0;  // breaks ties
  bool feed_connected = false;
  bool from_disk = false;  // the table is the one that was saved
};

}  // namespace perigee::router
