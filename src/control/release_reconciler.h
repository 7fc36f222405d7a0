// ReleaseReconciler: carries out deploys on the server, whoever watches or not.
//
// Each unfinished release has one task that asks plan_release for the next step, does it as one
// transaction, and waits for changes. Nothing is remembered outside the store: a new control finds
// the unfinished releases and goes on.
#pragma once

#include <set>

#include "async/task_group.h"
#include "control/context.h"
#include "control/release_plan.h"

namespace perigee::control {

class ReleaseReconciler {
 public:
  explicit ReleaseReconciler(const Context& context);
  // Takes up each release that is not finished, now and as they come; for ever.
  async::Task<void> run();

 private:
  using ReleaseId = DesiredTable::ReleaseId;
  struct Seen {
    ReleaseView view;
    store::Revision app = 0;
    store::Revision release = 0;
    std::vector<Stored<model::Machine>> machines;  // all of the app
  };

  static async::Task<void> carry_out(ReleaseReconciler& self, ReleaseId id);
  std::optional<Seen> look(const ReleaseId& id, bool drained) const;
  async::Task<Result<void>> take(Seen seen, ReleaseStep step);
  async::Task<Result<void>> wait(std::optional<WallTime> wake_at);
  async::Task<Result<void>> tell_progress(Seen seen, std::vector<std::string> news);
  async::Task<Result<void>> resolve(Seen seen);
  async::Task<Result<void>> take_over(Seen seen, MachineId id);
  async::Task<Result<void>> create(Seen seen, int missing);
  async::Task<Result<void>> fail_placement(Seen seen, Error error);
  async::Task<Result<void>> activate(Seen seen);
  async::Task<Result<void>> retire(Seen seen);
  async::Task<Result<void>> succeed(Seen seen);
  async::Task<Result<void>> fail_release(Seen seen, std::string reason, MachineId culprit);
  model::Machine given_up(const model::Machine& machine, const model::App& app) const;
  void add_event(ReleaseRecord& record, std::string_view kind, std::string message) const;

  const Context& context_;
  std::set<ReleaseId> running_;
  async::TaskGroup tasks_;
};

}  // namespace perigee::control
