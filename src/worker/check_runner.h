// CheckRunner: runs the checks of one machine while its app is up, each in a coroutine of its own,
// and keeps their results. Where nothing answers it has the guest say what it listens on.
//
//   runner.start(machine, address, started_at, known);  // idempotent
//   runner.statuses();                                   // changed() was called: they differ
//   runner.stop();
//
// Owned by MachineReconciler; one loop.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "async/event.h"
#include "async/task_group.h"
#include "model/checks.h"
#include "sys/host.h"
#include "vm/driver.h"
#include "worker/check_progress.h"

namespace perigee::worker {

class CheckRunner {
 public:
  // `attempts` bounds how many are under way on the node.
  CheckRunner(sys::Host& host, vm::Driver& driver, async::Semaphore& attempts,
              std::function<void()> changed);
  CheckRunner(const CheckRunner&) = delete;
  CheckRunner& operator=(const CheckRunner&) = delete;

  // `known`: results of the same boot, of an earlier worker.
  void start(const model::Machine& machine, std::string address, WallTime started_at,
             const std::vector<model::CheckStatus>& known);
  void stop();
  bool runs() const { return !progress_.empty(); }
  std::vector<model::CheckStatus> statuses() const;

 private:
  static async::Task<void> run(CheckRunner& self, std::size_t index);
  async::Task<CheckOutcome> attempt(model::Check check);
  async::Task<std::string> advice(int port);
  Duration age() const;

  sys::Host& host_;
  vm::Driver& driver_;
  async::Semaphore& attempts_;
  std::function<void()> changed_;
  MachineId machine_;
  std::string address_;
  WallTime started_at_;
  std::vector<model::NamedCheck> checks_;
  std::vector<CheckProgress> progress_;  // one for each check while they run
  async::TaskGroup tasks_;
};

}  // namespace perigee::worker
