// ScaleReconciler: keeps each app's machines as its scale and the state of the nodes ask for. It
// carries out plan_scale: makes machines that are missing, replaces those on nodes that drain or
// were lost, and removes what is too many, out of the routes first.
//
// One task per app at a time, and none while a deploy is under way: that places its own machines.
// Looked at are the apps that a change has touched, and all of them where the nodes have changed.
// Nothing is remembered but what failed lately and what is due; a killed control goes on from what
// is there. Runs on control's loop, owned by Control.
#pragma once

#include <map>
#include <set>
#include <string>

#include "async/task_group.h"
#include "control/context.h"
#include "control/scale_view.h"

namespace perigee::control {

class ScaleReconciler {
 public:
  explicit ScaleReconciler(const Context& context);
  async::Task<void> run();  // for ever

 private:
  // A plan with what it was made from.
  struct Job {
    Stored<model::App> app;
    ReleaseRecord release;    // of the machines; its version is 0 where they were made by hand
    StoredMachines machines;  // all that the plan is about
    ScalePlan plan;
  };

  // What is to be done for one app.
  struct Outlook {
    std::vector<Job> jobs;
    bool as_wanted = true;  // nothing is to be done, and nothing left undone
    void add(Job job);
  };
  // Which nodes take machines, and which were given up.
  using FleetShape = std::vector<std::tuple<NodeId, RegionCode, NodeRoom::State, bool>>;

  void look();
  void note_due(const FleetView& fleet);
  std::vector<AppName> take_due();
  void look_at(const FleetView& fleet, const Stored<model::App>& app);
  Outlook outlook_of(const FleetView& fleet, const Stored<model::App>& app,
                     const StoredMachines& machines) const;
  static async::Task<void> carry_out(ScaleReconciler& self, AppName app, std::vector<Job> jobs);
  async::Task<Result<void>> make(Job job);
  async::Task<Result<void>> give_up(Job job);
  async::Task<Result<void>> remove(Job job);
  async::Task<Result<void>> destroy(Job job, Removal::How how);
  Result<std::vector<model::Machine>> copies_of(const Job& job) const;

  const Context& context_;
  std::set<AppName> busy_;
  std::map<AppName, MonotonicTime> retry_at_;
  std::set<AppName> due_;        // to be looked at
  std::set<AppName> unsettled_;  // and again: not as wanted the last time
  AppName last_;                 // that was taken from `due_`
  FleetShape shape_;
  MonotonicTime round_at_;
  async::TaskGroup tasks_;
};

}  // namespace perigee::control
