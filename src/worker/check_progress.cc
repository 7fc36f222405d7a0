#include "worker/check_progress.h"

#include <algorithm>
#include <utility>

#include "model/limits.h"
#include "worker/limits.h"

namespace perigee::worker {
namespace {

using model::CheckHealth;

constexpr int kMaxDoublings = 16;

CheckHealth health_after(const model::Check& check, const CheckProgress& progress, bool passed,
                         Duration age) {
  if (passed) return CheckHealth::passing;
  if (!progress.has_passed) {
    return age < check.grace_period ? CheckHealth::warning : CheckHealth::critical;
  }
  return progress.failures < kFailuresToCritical ? CheckHealth::warning : CheckHealth::critical;
}

}  // namespace

CheckProgress new_progress(std::string name, WallTime now) {
  return {.status = {.name = std::move(name),
                     .status = CheckHealth::warning,
                     .output = "not tried yet",
                     .updated_at = now}};
}

CheckProgress resumed_progress(model::CheckStatus status) {
  const bool passed = status.status == CheckHealth::passing;
  return {.status = std::move(status), .has_passed = passed};
}

CheckProgress after_outcome(const model::Check& check, CheckProgress progress,
                            const CheckOutcome& outcome, Duration age, WallTime now) {
  progress.failures = outcome.passed ? 0 : progress.failures + 1;
  const CheckHealth health = health_after(check, progress, outcome.passed, age);
  progress.has_passed = progress.has_passed || outcome.passed;
  const std::string output = outcome.output.substr(0, model::kMaxCheckOutput);
  if (progress.status.status != health || progress.status.output != output) {
    progress.status.status = health;
    progress.status.output = output;
    progress.status.updated_at = now;
  }
  return progress;
}

Duration pause_after(const model::Check& check, const CheckProgress& progress) {
  if (progress.failures == 0) return check.interval;
  if (progress.has_passed) {
    return progress.failures < kFailuresToCritical ? std::min(check.interval, kConfirmFailure)
                                                   : check.interval;
  }
  const int doublings = std::min(progress.failures - 1, kMaxDoublings);
  return std::min(check.interval, kFirstCheckPause * (1 << doublings));
}

}  // namespace perigee::worker
