#include "routing/choose.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace perigee::routing {
namespace {

// By the policy's order; smaller is better, equal ranks are a tie.
using Rank = std::array<std::int64_t, std::tuple_size_v<Order>>;

bool over_soft(const Candidate& candidate, const Policy& policy) {
  return policy.soft_limit > 0 && candidate.in_flight >= policy.soft_limit;
}

std::int64_t measure(Criterion criterion, const Candidate& candidate, const Policy& policy) {
  switch (criterion) {
    case Criterion::wish:
      return candidate.wish;
    case Criterion::listening:
      return candidate.target->listening ? 0 : 1;
    case Criterion::staying:
      return candidate.leaving ? 1 : 0;
    case Criterion::load:
      return over_soft(candidate, policy) ? 1 : 0;
    case Criterion::distance:
      return candidate.rtt / kNearStep;
    case Criterion::in_flight:
      return candidate.in_flight;
  }
  return 0;
}

Rank rank(const Candidate& candidate, const Policy& policy) {
  const Order order = order_of(policy.balancing);
  Rank out{};
  for (std::size_t i = 0; i < order.size(); ++i) out[i] = measure(order[i], candidate, policy);
  return out;
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
  if (any(candidates, policy, Verdict::set_aside)) return Outcome::wait;
  if (any(candidates, policy, Verdict::not_wished)) return Outcome::none_wished;
  const bool unhealthy = any(candidates, policy, Verdict::checks_failing);
  return unhealthy ? Outcome::none_healthy : Outcome::none_started;
}

bool is_coming(const Candidate& candidate, const Policy& policy) {
  const Verdict verdict = judge(candidate, policy);
  if (verdict == Verdict::starting || verdict == Verdict::checks_pending) return true;
  const bool up = verdict == Verdict::not_listening || verdict == Verdict::refused;
  return up && !candidate.target->listening;
}

// The far one serves meanwhile.
bool rests_at_home(std::span<const Candidate> candidates, const Policy& policy,
                   const Candidate& chosen) {
  if (chosen.home || chosen.rtt <= kFar) return false;
  return std::ranges::any_of(candidates, [&](const Candidate& each) {
    return each.home && !each.leaving && each.wish <= chosen.wish &&
           judge(each, policy) == Verdict::resting;
  });
}

// Of the machines that may be chosen, the place of the `turn`th among the best.
std::optional<std::size_t> pick(std::span<const Candidate> candidates, const Policy& policy,
                                const std::optional<Rank>& best, std::size_t turn) {
  for (std::size_t i = 0; best && i < candidates.size(); ++i) {
    const Verdict verdict = judge(candidates[i], policy);
    if (!eligible(verdict) || rank(candidates[i], policy) != *best) continue;
    if (turn-- == 0) return i;
  }
  return std::nullopt;
}

}  // namespace

Policy Policy::of(const model::Concurrency& concurrency) {
  return {.soft_limit = concurrency.soft_limit,
          .hard_limit = concurrency.hard_limit,
          .balancing = concurrency.balancing};
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
  if (candidate.wish == kNotWished) return Verdict::not_wished;
  if (!candidate.reachable) return Verdict::unreachable;
  if (candidate.refused) return Verdict::refused;
  if (candidate.aside > Duration::zero()) return Verdict::set_aside;
  if (candidate.full) return Verdict::at_hard_limit;
  if (policy.hard_limit > 0 && candidate.in_flight >= policy.hard_limit) {
    return Verdict::at_hard_limit;
  }
  return candidate.target->listening ? Verdict::listening : Verdict::not_listening;
}

void keep_half(std::span<Candidate> candidates) {
  std::size_t serving = 0;
  std::size_t aside = 0;
  for (const Candidate& candidate : candidates) {
    const Verdict verdict = judge(candidate, {});
    aside += verdict == Verdict::set_aside ? 1 : 0;
    serving += eligible(verdict) || verdict == Verdict::set_aside ||
                       verdict == Verdict::at_hard_limit || verdict == Verdict::refused
                   ? 1
                   : 0;
  }
  if (aside * 2 <= serving) return;
  for (Candidate& candidate : candidates) candidate.aside = Duration::zero();
}

Decision choose(std::span<const Candidate> candidates, const Policy& policy,
                std::uint64_t tie_breaker) {
  std::optional<Rank> best;
  std::size_t ties = 0;
  bool busy = true;  // all that run are over the soft limit
  for (const Candidate& candidate : candidates) {
    if (!eligible(judge(candidate, policy))) continue;
    busy = busy && over_soft(candidate, policy);
    const Rank own = rank(candidate, policy);
    if (best && own == *best) ++ties;
    if (!best || own < *best) {
      best = own;
      ties = 1;
    }
  }
  const bool starts = any(candidates, policy, Verdict::starting) ||
                      any(candidates, policy, Verdict::checks_pending);
  const auto index = pick(candidates, policy, best, best ? tie_breaker % ties : 0);
  const bool wanted = (busy && any(candidates, policy, Verdict::resting)) ||
                      (index && rests_at_home(candidates, policy, candidates[*index]));
  return {.outcome = best ? Outcome::chosen : without_choice(candidates, policy),
          .index = index,
          .wake = wanted && !starts,
          .coming = std::ranges::any_of(
              candidates, [&](const Candidate& each) { return is_coming(each, policy); })};
}

namespace {

std::string milliseconds(Duration d) {
  return fmt::format("{:.3g} ms", static_cast<double>(d / 1us) / 1000);
}

// What `other` has against it when `best` is better by that criterion.
std::string drawback(Criterion criterion, const Candidate& other, const Candidate& best) {
  switch (criterion) {
    case Criterion::wish:
      return "fits the request's wish less";
    case Criterion::listening:
      return "not known to listen yet";
    case Criterion::staying:
      return "its node is being emptied";
    case Criterion::load:
      return "over its soft limit";
    case Criterion::distance:
      return fmt::format("farther: {} against {}", milliseconds(other.rtt), milliseconds(best.rtt));
    case Criterion::in_flight:
      return fmt::format("more in flight: {} against {}", other.in_flight, best.in_flight);
  }
  return "";
}

// The first criterion of the policy's order by which the two differ.
std::optional<Criterion> difference(const Candidate& a, const Candidate& b, const Policy& policy) {
  for (const Criterion criterion : order_of(policy.balancing)) {
    if (measure(criterion, a, policy) != measure(criterion, b, policy)) return criterion;
  }
  return std::nullopt;
}

// What decided between the chosen one and the best of the others.
std::string merit(std::span<const Candidate> candidates, const Policy& policy, std::size_t chosen) {
  const Candidate* second = nullptr;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& each = candidates[i];
    if (i == chosen || !eligible(judge(each, policy))) continue;
    if (second == nullptr || rank(each, policy) < rank(*second, policy)) second = &each;
  }
  if (second == nullptr) return "the only one that may be chosen";
  const auto criterion = difference(candidates[chosen], *second, policy);
  return criterion ? fmt::format("best by {}", name(*criterion)) : "its turn";
}

}  // namespace

std::string why(std::span<const Candidate> candidates, const Policy& policy,
                const Decision& decision, std::size_t i) {
  const Verdict verdict = judge(candidates[i], policy);
  if (verdict == Verdict::set_aside) {
    return fmt::format("{}, for {:.1f} s more", describe(verdict), to_seconds(candidates[i].aside));
  }
  if (!eligible(verdict) || !decision.index) return std::string(describe(verdict));
  if (i == *decision.index) return merit(candidates, policy, i);
  const Candidate& best = candidates[*decision.index];
  const auto criterion = difference(candidates[i], best, policy);
  return criterion ? drawback(*criterion, candidates[i], best) : "it was another's turn";
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
    case Verdict::not_wished:
      return "not what the request insists on";
    case Verdict::set_aside:
      return "set aside after failures in a row";
    case Verdict::at_hard_limit:
      return "at its hard limit";
  }
  return "";
}

std::string_view name(Criterion criterion) {
  switch (criterion) {
    case Criterion::wish:
      return "wish";
    case Criterion::listening:
      return "listening";
    case Criterion::staying:
      return "staying";
    case Criterion::load:
      return "load";
    case Criterion::distance:
      return "distance";
    case Criterion::in_flight:
      return "in flight";
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
    case Outcome::none_wished:
      return "no machine that runs is what the request insists on";
    case Outcome::all_at_limit:
      return "all of the app's machines are at their hard limit";
  }
  return "";
}

}  // namespace perigee::routing
