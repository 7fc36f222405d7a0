#include "worker/restart.h"

#include <algorithm>

#include "worker/limits.h"

namespace perigee::worker {
namespace {

Duration doubled(Duration first, Duration most, std::size_t times) {
  Duration delay = first;
  for (std::size_t i = 0; i < times && delay < most; ++i) delay *= 2;
  return std::min(delay, most);
}

bool clean(const vm::VmExit& exit) {
  return exit.exit_code == 0 && exit.signal == 0 && !exit.oom_killed && !exit.vmm_died;
}

}  // namespace

Duration restart_delay(std::size_t earlier) {
  return doubled(kFirstRestartDelay, kMaxRestartDelay, earlier);
}

Duration boot_retry_delay(int earlier) {
  return doubled(kFirstBootRetry, kMaxBootRetry, static_cast<std::size_t>(std::max(0, earlier)));
}

// Times in the future (the clock was set back) are dropped too: they would count for ever.
std::vector<WallTime> within_window(const std::vector<WallTime>& restarts, WallTime now) {
  std::vector<WallTime> kept;
  std::ranges::copy_if(restarts, std::back_inserter(kept),
                       [now](WallTime at) { return at <= now && now - at < kRestartWindow; });
  return kept;
}

RestartVerdict decide_restart(const model::RestartPolicy& policy, const vm::VmExit& exit,
                              const std::vector<WallTime>& restarts, WallTime now) {
  if (policy.policy == model::RestartKind::no) return {};
  if (policy.policy == model::RestartKind::on_failure && clean(exit)) return {};
  const std::size_t earlier = within_window(restarts, now).size();
  if (earlier >= static_cast<std::size_t>(std::max(0, policy.max_retries))) {
    return {.again = false,
            .delay = {},
            .why = fmt::format(
                "{} after {} restarts within {} minutes; not started again (see its "
                "logs, then `perigee machine start`)",
                exit.reason, earlier,
                std::chrono::duration_cast<std::chrono::minutes>(kRestartWindow).count())};
  }
  return {.again = true, .delay = restart_delay(earlier), .why = {}};
}

}  // namespace perigee::worker
