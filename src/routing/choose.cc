#include "routing/choose.h"

#include <algorithm>
#include <tuple>

namespace perigee::routing {
namespace {

// Smaller is better; equal ranks are a tie.
using Rank = std::tuple<int, int, std::int64_t, int>;

Rank rank(const Candidate& candidate, Verdict verdict, const Policy& policy) {
  const int listening = verdict == Verdict::listening ? 0 : 1;
  const bool over_soft = policy.soft_limit > 0 && candidate.in_flight >= policy.soft_limit;
  return {listening, over_soft ? 1 : 0, candidate.rtt / kNearStep, candidate.in_flight};
}

bool eligible(Verdict verdict) {
  return verdict == Verdict::listening || verdict == Verdict::not_listening;
}

bool any(std::span<const Candidate> candidates, const Policy& policy, Verdict wanted) {
  return std::ranges::any_of(candidates,
                             [&](const Candidate& each) { return judge(each, policy) == wanted; });
}

Outcome without_choice(std::span<const Candidate> candidates, const Policy& policy) {
  if (candidates.empty()) return Outcome::no_machines;
  for (const Verdict verdict :
       {Verdict::starting, Verdict::checks_pending, Verdict::resting, Verdict::refused}) {
    if (any(candidates, policy, verdict)) return Outcome::wait;
  }
  if (any(candidates, policy, Verdict::unreachable)) return Outcome::none_reachable;
  if (any(candidates, policy, Verdict::at_hard_limit)) return Outcome::all_at_limit;
  const bool unhealthy = any(candidates, policy, Verdict::checks_failing);
  return unhealthy ? Outcome::none_healthy : Outcome::none_started;
}

bool is_coming(const Candidate& candidate, const Policy& policy) {
  const Verdict verdict = judge(candidate, policy);
  if (verdict == Verdict::starting || verdict == Verdict::checks_pending) return true;
  const bool up = verdict == Verdict::not_listening || verdict == Verdict::refused;
  return up && !candidate.target->listening;
}

// Of the machines that may be chosen, the place of the `turn`th among the best.
std::optional<std::size_t> pick(std::span<const Candidate> candidates, const Policy& policy,
                                const std::optional<Rank>& best, std::size_t turn) {
  for (std::size_t i = 0; best && i < candidates.size(); ++i) {
    const Verdict verdict = judge(candidates[i], policy);
    if (!eligible(verdict) || rank(candidates[i], verdict, policy) != *best) continue;
    if (turn-- == 0) return i;
  }
  return std::nullopt;
}

}  // namespace

Policy Policy::of(const model::Concurrency& concurrency) {
  return {.soft_limit = concurrency.soft_limit, .hard_limit = concurrency.hard_limit};
}

Verdict judge(const Candidate& candidate, const Policy& policy) {
  using State = model::MachineState;
  const State state = candidate.target->state;
  if (candidate.target->wakeable) return Verdict::resting;
  if (state == State::created || state == State::starting || state == State::restarting) {
    return Verdict::starting;
  }
  if (state != State::started || candidate.target->address.empty()) return Verdict::not_started;
  if (candidate.target->readiness == model::Readiness::failing) return Verdict::checks_failing;
  if (candidate.target->readiness == model::Readiness::pending) return Verdict::checks_pending;
  if (!candidate.reachable) return Verdict::unreachable;
  if (candidate.refused) return Verdict::refused;
  if (policy.hard_limit > 0 && candidate.in_flight >= policy.hard_limit) {
    return Verdict::at_hard_limit;
  }
  return candidate.target->listening ? Verdict::listening : Verdict::not_listening;
}

Decision choose(std::span<const Candidate> candidates, const Policy& policy,
                std::uint64_t tie_breaker) {
  std::optional<Rank> best;
  std::size_t ties = 0;
  for (const Candidate& candidate : candidates) {
    const Verdict verdict = judge(candidate, policy);
    if (!eligible(verdict)) continue;
    const Rank own = rank(candidate, verdict, policy);
    if (best && own == *best) ++ties;
    if (!best || own < *best) {
      best = own;
      ties = 1;
    }
  }
  const bool busy = !best || std::get<1>(*best) > 0;  // all that run are over the soft limit
  const bool starts = any(candidates, policy, Verdict::starting) ||
                      any(candidates, policy, Verdict::checks_pending);
  return {.outcome = best ? Outcome::chosen : without_choice(candidates, policy),
          .index = pick(candidates, policy, best, best ? tie_breaker % ties : 0),
          .wake = busy && !starts && any(candidates, policy, Verdict::resting),
          .coming = std::ranges::any_of(
              candidates, [&](const Candidate& each) { return is_coming(each, policy); })};
}

std::string_view describe(Verdict verdict) {
  switch (verdict) {
    case Verdict::listening:
      return "listening";
    case Verdict::not_listening:
      return "started, not known to listen yet";
    case Verdict::starting:
      return "starting";
    case Verdict::resting:
      return "resting until a request needs it";
    case Verdict::checks_pending:
      return "started, its checks have not passed yet";
    case Verdict::checks_failing:
      return "fails its checks";
    case Verdict::not_started:
      return "not started";
    case Verdict::refused:
      return "refused the connection";
    case Verdict::unreachable:
      return "on a node that can't be reached";
    case Verdict::at_hard_limit:
      return "at its hard limit";
  }
  return "";
}

std::string_view describe(Outcome outcome) {
  switch (outcome) {
    case Outcome::chosen:
      return "chosen";
    case Outcome::no_machines:
      return "the app has no machines";
    case Outcome::none_started:
      return "none of the app's machines is started";
    case Outcome::none_healthy:
      return "none of the app's machines passes its checks";
    case Outcome::wait:
      return "the app's machines are starting";
    case Outcome::none_reachable:
      return "none of the nodes that its machines run on can be reached";
    case Outcome::all_at_limit:
      return "all of the app's machines are at their hard limit";
  }
  return "";
}

}  // namespace perigee::routing
