#include "routing/choose.h"

#include <tuple>

namespace perigee::routing {
namespace {

// Smaller is better; equal ranks are a tie.
using Rank = std::tuple<int, int, int>;

Rank rank(const Candidate& candidate, Verdict verdict, const Policy& policy) {
  const int listening = verdict == Verdict::listening ? 0 : 1;
  const bool over_soft = policy.soft_limit > 0 && candidate.in_flight >= policy.soft_limit;
  return {listening, over_soft ? 1 : 0, candidate.in_flight};
}

bool eligible(Verdict verdict) {
  return verdict == Verdict::listening || verdict == Verdict::not_listening;
}

Outcome without_choice(std::span<const Candidate> candidates, const Policy& policy) {
  if (candidates.empty()) return Outcome::no_machines;
  bool limited = false;
  for (const Candidate& candidate : candidates) {
    const Verdict verdict = judge(candidate, policy);
    if (verdict == Verdict::starting || verdict == Verdict::refused) return Outcome::wait;
    if (verdict == Verdict::at_hard_limit) limited = true;
  }
  return limited ? Outcome::all_at_limit : Outcome::none_started;
}

}  // namespace

Policy Policy::of(const model::Concurrency& concurrency) {
  return {.soft_limit = concurrency.soft_limit, .hard_limit = concurrency.hard_limit};
}

Verdict judge(const Candidate& candidate, const Policy& policy) {
  using State = model::MachineState;
  const State state = candidate.target->state;
  if (state == State::created || state == State::starting || state == State::restarting) {
    return Verdict::starting;
  }
  if (state != State::started || candidate.target->address.empty()) return Verdict::not_started;
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
  if (!best) return {.outcome = without_choice(candidates, policy), .index = std::nullopt};
  std::size_t skip = tie_breaker % ties;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Verdict verdict = judge(candidates[i], policy);
    if (!eligible(verdict) || rank(candidates[i], verdict, policy) != *best) continue;
    if (skip-- == 0) return {.outcome = Outcome::chosen, .index = i};
  }
  return {};
}

std::string_view describe(Verdict verdict) {
  switch (verdict) {
    case Verdict::listening:
      return "listening";
    case Verdict::not_listening:
      return "started, not known to listen yet";
    case Verdict::starting:
      return "starting";
    case Verdict::not_started:
      return "not started";
    case Verdict::refused:
      return "refused the connection";
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
    case Outcome::wait:
      return "the app's machines are starting";
    case Outcome::all_at_limit:
      return "all of the app's machines are at their hard limit";
  }
  return "";
}

}  // namespace perigee::routing
