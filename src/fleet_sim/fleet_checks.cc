// What must hold in a simulated fleet: Fleet's looks at all of its nodes and routers at once, which
// nobody in a real fleet has.
#include "fleet_sim/fleet.h"

namespace perigee::fleet_sim {
namespace {

using model::MachineState;

constexpr std::size_t kMostShown = 10;

template <typename... Args>
void tell(std::vector<std::string>& wrong, fmt::format_string<Args...> format, Args&&... args) {
  if (wrong.size() < kMostShown) wrong.push_back(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace

std::vector<std::string> Fleet::dead_routes() const {
  Wrong wrong;
  for (const Member& each : members_) {
    if (!each.router) continue;
    each.router->state().table->apps().for_each(
        [&](const std::string&, const auto& route) { check_targets(each, *route, wrong); });
  }
  return wrong;
}

// Those that get requests run there, at that address.
void Fleet::check_targets(const Member& router, const model::AppRoute& route, Wrong& wrong) const {
  for (const model::RouteTarget& target : route.targets) {
    if (target.state != MachineState::started) continue;
    const model::MachineStatus* there = member(target.node).guests->status(target.machine);
    const bool runs = there != nullptr && there->state == MachineState::started;
    if (runs && there->private_ip == target.address) continue;
    tell(wrong, "{}: {} has {} at {} on {}, which does not run there", router.machine->name(),
         route.app, target.machine, target.address, target.node);
  }
}

bool Fleet::is_long(MonotonicTime since) const {
  return simulation_.now() - since >= kLostBound;
}

std::vector<std::string> Fleet::lost_routes() const {
  Wrong wrong;
  if (!control_->running() || !is_long(control_since_)) return wrong;
  std::set<NodeId> lost;
  for (const Member& each : members_) {
    if (!each.in_touch && is_long(each.since)) lost.insert(NodeId(each.machine->name()));
  }
  const auto check = [&](const Member& router, const model::AppRoute& route) {
    for (const model::RouteTarget& target : route.targets) {
      if (lost.contains(target.node))
        tell(wrong, "{} has {} on {}, which is lost", router.machine->name(), target.machine,
             target.node);
    }
  };
  for (const Member& each : members_) {
    if (!each.router || !each.in_touch || !is_long(each.since)) continue;
    each.router->state().table->apps().for_each(
        [&](const std::string&, const auto& route) { check(each, *route); });
  }
  return wrong;
}

std::vector<std::string> Fleet::differences() const {
  Wrong wrong;
  for (int i = 0; i < size_.apps(); ++i) {
    const AppName app = app_at(i);
    const Machines running = check_machines(app, wrong);
    for (const Member& each : members_) {
      if (each.has_router) check_route(each, app, running, wrong);
    }
    check_names(app, running, wrong);
  }
  check_volumes(wrong);
  for (const Member& each : members_) {
    if (each.has_router && each.router->state().table->nodes().size() != members_.size())
      tell(wrong, "{} knows {} nodes", each.machine->name(),
           each.router->state().table->nodes().size());
  }
  if (census_.size() != parts_->desired().machines().size())
    tell(wrong, "{} machines are on nodes, {} are wanted", census_.size(),
         parts_->desired().machines().size());
  return wrong;
}

// As many as the app is to have, each where the store says. Those that run.
Fleet::Machines Fleet::check_machines(const AppName& app, Wrong& wrong) const {
  Machines running;
  const auto machines = parts_->desired().machines_of(app);
  if (machines.size() != kMachinesPerApp)
    tell(wrong, "app {} has {} machines of {}", app, machines.size(), kMachinesPerApp);
  for (const auto& each : machines) {
    if (member(each.value.node).guests->runs(each.value.id)) {
      running.insert(each.value.id);
    } else {
      tell(wrong, "machine {} of {} does not run on {}", each.value.id, app, each.value.node);
    }
  }
  return running;
}

// The router sends requests to all that run, and to nothing else.
void Fleet::check_route(const Member& router, const AppName& app, const Machines& running,
                        Wrong& wrong) const {
  const routing::RoutePtr route =
      router.router->state().table->find_host(app.str() + "." + kDomain);
  Machines routed;
  if (route) {
    for (const model::RouteTarget& target : route->targets) {
      if (target.state == MachineState::started) routed.insert(target.machine);
    }
  }
  if (routed != running)
    tell(wrong, "{} has {} machines of {} that take requests; {} run, or others",
         router.machine->name(), routed.size(), app, running.size());
}

// The names that the app's machines find each other by, on every node that has one of them.
void Fleet::check_names(const AppName& app, const Machines& running, Wrong& wrong) const {
  std::set<NodeId> nodes;
  for (const MachineId& id : running) nodes.insert(parts_->desired().machines().at(id).value.node);
  for (const NodeId& node : nodes) {
    const auto& names = member(node).guests->names();
    Machines named;
    if (const auto found = names.find(app); found != names.end()) {
      for (const model::NamedMachine& each : found->second.machines) named.insert(each.id);
    }
    if (named != running)
      tell(wrong, "{} knows {} names of {}; {} run, or others", node, named.size(), app,
           running.size());
  }
}

// A machine that holds a volume is where it has always been.
void Fleet::check_volumes(Wrong& wrong) const {
  for (const auto& [id, machine] : initial_) {
    if (machine.config.mounts.empty()) continue;
    if (!member(machine.node).guests->runs(id))
      tell(wrong, "machine {} of {}, whose volume is on {}, does not run there", id, machine.app,
           machine.node);
  }
}

}  // namespace perigee::fleet_sim
