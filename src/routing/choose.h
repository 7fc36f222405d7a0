// choose: which machine serves this request, and why. Pure: no clock, no sockets, no randomness of
// its own, so that a test, a simulation and `explain` ask the same function.
//
//   Decision d = choose(candidates, policy, tie_breaker);
//   if (d.index) … candidates[*d.index] …; else answer by d.outcome
//
// The rule, in this order:
//   1. Only machines that are started, pass the checks that gate them, can be reached, were not
//      tried for this request, and are below the service's hard limit.
//   2. Machines whose port is known to accept connections before those that have just started
//      (their report may be under way: the caller tries, and tries again a little later).
//   3. Machines below the soft limit before those between soft and hard.
//   4. The nearest; round trips that differ by less than kNearStep are alike.
//   5. The fewest requests in flight.
//   6. Ties go round: the caller counts `tie_breaker` up.
//
// Where machines rest that a request may have started (autostart), the decision says when one
// should be: none runs, or all that run are at their soft limit, and none is starting already.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/time.h"
#include "model/types.h"

namespace perigee::routing {

inline constexpr Duration kNearStep = 2ms;

struct Candidate {
  const model::RouteTarget* target = nullptr;
  int in_flight = 0;     // requests that are there now, as far as this router knows
  bool refused = false;  // it refused this request's connection a moment ago
  Duration rtt{};        // to its node; zero: this one
  bool reachable = true;
};

struct Policy {
  int soft_limit = 0;  // 0: none
  int hard_limit = 0;  // 0: none
  static Policy of(const model::Concurrency& concurrency);
};

enum class Verdict {
  listening,       // may be chosen
  not_listening,   // started, its port is not known to accept connections: chosen if nothing better
  starting,        // will be started soon
  checks_pending,  // started, its checks have not passed yet
  checks_failing,
  resting,  // may be started for a request
  not_started,
  refused,
  unreachable,  // its node is
  at_hard_limit,
};
Verdict judge(const Candidate& candidate, const Policy& policy);
std::string_view describe(Verdict verdict);

enum class Outcome {
  chosen,
  no_machines,     // the app has none
  none_started,    // none runs, and none is about to
  none_healthy,    // none that runs passes its checks
  wait,            // one is starting, may be woken, or refused: try again within a bound
  none_reachable,  // what runs is on nodes that can't be reached now: likewise
  all_at_limit,    // all that run are at their hard limit
};
std::string_view describe(Outcome outcome);

struct Decision {
  Outcome outcome = Outcome::no_machines;
  std::optional<std::size_t> index;  // of the candidate, where one was chosen
  bool wake = false;                 // a resting machine should be started
  bool coming = false;               // one is on its way: a longer wait is worth it
};

Decision choose(std::span<const Candidate> candidates, const Policy& policy,
                std::uint64_t tie_breaker);

}  // namespace perigee::routing
