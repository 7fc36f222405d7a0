// Fleet: control, nodes and routers of a simulated fleet, each on a simulated machine of its own
// that may crash or be cut off, with the real feeds between them.
//
//   Fleet fleet({.nodes = 100, .cities = 20, .machines = 10'000}, seed, routers);
//   fleet.run_for(20s);                  // all has settled
//   fleet.cut(7); fleet.crash(9, sim::Crash::power); fleet.crash_control();
//   fleet.heal(); fleet.run_for(…); fleet.differences()
//
// Every node has a worker. The first nodes have a router, too: a router's table of a hundred
// thousand machines takes tens of megabytes, so not a thousand of them here.
#pragma once

#include <memory>
#include <set>
#include <vector>

#include "fleet_sim/census.h"
#include "fleet_sim/control_parts.h"
#include "fleet_sim/guests.h"
#include "fleet_sim/layout.h"
#include "fleet_sim/reports.h"
#include "router/router.h"
#include "sim/simulation.h"
#include "store/memory_store.h"

namespace perigee::fleet_sim {

inline constexpr Duration kReportInterval = 5s;
// From the end of all disturbances until routes point at nothing that is not there: a feed or a
// connection that says nothing for 15 s is given up, then it is made anew.
inline constexpr Duration kRoutesBound = 25s;
// … and until every app has what it is to have, and every router and node knows the same.
inline constexpr Duration kCalmBound = 60s;
// Out of touch for so long, a node gets no requests from any router that is in touch.
inline constexpr Duration kLostBound = control::kNodeLease + kRoutesBound;

class Fleet {
 public:
  Fleet(Size size, std::uint64_t seed, int routers);
  ~Fleet();

  void run_for(Duration time) { simulation_.run_for(time); }
  Random& random() { return simulation_.random(); }
  const Size& size() const { return size_; }

  // Disturbances.
  void cut(int node);  // from control
  void mend(int node);
  void crash(int node, sim::Crash kind);  // worker and router; until `restart`
  void restart(int node);
  void crash_control();
  void restart_control();
  void heal();  // all of it

  // Each is a list of what is wrong, bounded, empty where nothing is.
  const std::vector<std::string>& doubles() const { return census_.doubles(); }  // ever
  std::vector<std::string> dead_routes() const;  // to what does not run there
  std::vector<std::string> lost_routes() const;  // to nodes that are long out of touch
  std::vector<std::string> differences() const;  // from what is wanted, anywhere

  // Machines that were made in the course.
  std::size_t machines_made() const { return census_.arrivals() - initial_.size(); }

 private:
  struct Member {
    sim::Node* machine = nullptr;
    std::unique_ptr<Guests> guests;
    std::unique_ptr<router::Router> router;  // while its process runs
    bool has_router = false;
    bool cut = false;
    bool in_touch = false;  // with control, as far as it depends on the node
    MonotonicTime since;    // it is so
    bool runs() const { return machine->running(); }
  };
  using Wrong = std::vector<std::string>;
  using Machines = std::set<MachineId>;

  Member& member(int index) { return members_.at(static_cast<std::size_t>(index)); }
  const Member& member(const NodeId& id) const;
  sim::NodeIndex control_index() const { return control_->index(); }
  void note_touch(Member& member);
  void add_members(int routers);
  void adopt_machines();
  static async::Task<void> control_program(Fleet& fleet, sim::Node& node);
  static async::Task<void> member_program(Fleet& fleet, int index, sim::Node& node);
  static async::Task<void> take_reports(Fleet& fleet, ControlParts& parts);
  static async::Task<void> report(Fleet& fleet, int index);

  bool is_long(MonotonicTime since) const;
  void check_targets(const Member& router, const model::AppRoute& route, Wrong& wrong) const;
  Machines check_machines(const AppName& app, Wrong& wrong) const;
  void check_route(const Member& router, const AppName& app, const Machines& running,
                   Wrong& wrong) const;
  void check_names(const AppName& app, const Machines& running, Wrong& wrong) const;
  void check_volumes(Wrong& wrong) const;

  Size size_;
  mutable sim::Simulation simulation_;  // its clock is no part of its state
  sim::Node* control_ = nullptr;
  store::MemoryStore store_{simulation_.loop()};
  std::unique_ptr<ControlFiles> files_;
  Reports reports_;
  Census census_;
  std::vector<Member> members_;
  std::map<NodeId, int> by_name_;
  std::map<MachineId, model::Machine> initial_;
  ControlParts* parts_ = nullptr;  // of the running control
  int control_starts_ = 0;
  MonotonicTime control_since_;  // it runs, where it does
};

}  // namespace perigee::fleet_sim
