#include "worker/check_runner.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "model/limits.h"
#include "worker/check_attempt.h"
#include "worker/limits.h"
#include "worker/listen_advice.h"

namespace perigee::worker {

CheckRunner::CheckRunner(sys::Host& host, vm::Driver& driver, async::Semaphore& attempts,
                         std::function<void()> changed)
    : host_(host),
      driver_(driver),
      attempts_(attempts),
      changed_(std::move(changed)),
      tasks_(host.loop, model::kMaxChecks) {}

void CheckRunner::start(const model::Machine& machine, std::string address, WallTime started_at,
                        const std::vector<model::CheckStatus>& known) {
  if (runs()) return;
  machine_ = machine.id;
  address_ = std::move(address);
  started_at_ = started_at;
  checks_ = model::checks_of(machine.config);
  for (const model::NamedCheck& each : checks_) {
    const auto before = std::ranges::find(known, each.name, &model::CheckStatus::name);
    progress_.push_back(before == known.end() ? new_progress(each.name, host_.clock.wall())
                                              : resumed_progress(*before));
  }
  for (std::size_t i = 0; i < checks_.size(); ++i) tasks_.spawn(run(*this, i));
  if (runs()) changed_();
}

void CheckRunner::stop() {
  tasks_.cancel_all();
  progress_.clear();
}

std::vector<model::CheckStatus> CheckRunner::statuses() const {
  std::vector<model::CheckStatus> out;
  for (const CheckProgress& each : progress_) out.push_back(each.status);
  return out;
}

Duration CheckRunner::age() const {
  return host_.clock.wall() - started_at_;
}

async::Task<void> CheckRunner::run(CheckRunner& self, std::size_t index) {
  const model::NamedCheck named = self.checks_[index];
  for (;;) {
    const CheckOutcome outcome = co_await self.attempt(named.check);
    CheckProgress& progress = self.progress_[index];
    CheckProgress next =
        after_outcome(named.check, progress, outcome, self.age(), self.host_.clock.wall());
    const bool news = next.status != progress.status;
    if (next.status.status != progress.status.status) {
      log_info("worker", "machine {}: check {}: {}: {}", self.machine_, named.name,
               model::name(next.status.status), next.status.output);
    }
    progress = std::move(next);
    const Duration pause = pause_after(named.check, progress);
    if (news) self.changed_();
    co_await self.host_.loop.sleep(pause);
  }
}

async::Task<CheckOutcome> CheckRunner::attempt(model::Check check) {
  const int port = check.port;
  CheckAttempt done;
  {
    const async::Semaphore::Permit permit = co_await attempts_.acquire();
    done = co_await attempt_check(host_, std::move(check), address_);
  }
  if (done.connected || age() < kSilencePatience) co_return done.outcome;
  const std::string why = co_await advice(port);
  if (!why.empty()) done.outcome.output = why;
  co_return done.outcome;
}

async::Task<std::string> CheckRunner::advice(int port) {
  const auto sockets = co_await driver_.listening(machine_);
  if (!sockets) {
    log_debug("worker", "machine {}: {}", machine_, sockets.error().context);
    co_return "";
  }
  co_return listen_advice(port, *sockets);
}

}  // namespace perigee::worker
