// LoadTable: what the routers report of the machines' requests, in memory. After a start of control
// every machine counts as used just now.
//
// A router's report also says up to which revision of which control's routes it has followed: from
// that, `is_quiet` tells that a machine that was taken out of the routes has no request left.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "async/event.h"
#include "base/id.h"
#include "base/result.h"
#include "json/json.h"

namespace perigee::control {

struct RouterReport {
  std::string epoch;  // of the routes feed
  std::int64_t revision = 0;
  struct Load {
    int in_flight = 0;
    int peak = 0;
    std::int64_t requests = 0;
  };
  std::map<MachineId, Load> machines;  // all that had anything to do
};
Result<RouterReport> router_report_from(const json::Value& value);

class LoadTable {
 public:
  // `window`: over which the peak of requests at once is remembered, at least.
  LoadTable(async::Loop& loop, Duration window);

  void report(const NodeId& router, RouterReport report);
  async::Notify& changed() { return changed_; }

  int in_flight(const MachineId& machine) const;  // of the routers that report
  int peak(const MachineId& machine) const;       // of the last window to two
  Duration idle(const MachineId& machine) const;  // since its last request
  // Every router that reports has followed its control's routes up to the revision of that epoch in
  // `marks`, and has no request there.
  bool is_quiet(const MachineId& machine, const std::map<std::string, std::int64_t>& marks) const;
  // The first half of that.
  bool have_followed(const std::map<std::string, std::int64_t>& marks) const;
  // Drops what is known of machines that are gone.
  void keep_only(const std::function<bool(const MachineId&)>& known);

 private:
  struct Router {
    RouterReport report;
    MonotonicTime at;
  };
  struct Use {
    MonotonicTime last;
    int peak = 0;      // in the window that runs
    int previous = 0;  // in the one before
    std::int64_t window = 0;
  };
  bool is_live(const Router& router) const;
  std::int64_t window_now() const;

  async::Loop& loop_;
  Duration window_;
  MonotonicTime start_;
  async::Notify changed_;
  std::map<NodeId, Router> routers_;
  std::map<MachineId, Use> uses_;
};

}  // namespace perigee::control
