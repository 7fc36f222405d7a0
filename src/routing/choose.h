// choose: which machine serves this request, and why. Pure: no clock, no sockets, no randomness of
// its own, so that a test, a simulation and `explain` ask the same function.
//
//   Decision d = choose(candidates, policy, tie_breaker);
//   if (d.index) … candidates[*d.index] …; else answer by d.outcome
//   why(candidates, policy, d, i)   // of each candidate, in words
//
// Only machines that are started, pass the checks that gate them, can be reached, were not tried
// for this request, are allowed by its wish, are not set aside for their failures, and are below
// the service's hard limit may be chosen.
// Of those the best by order_of, which is the table of docs/load-balancing.md; ties go round: the
// caller counts `tie_breaker` up.
//
// Where machines rest that a request may have started (autostart), the decision says when one
// should be: none runs, or all that run are at their soft limit, or the one chosen is far away and
// one rests in the router's own region; and none is starting already.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/time.h"
#include "model/types.h"

namespace perigee::routing {

// Round trips that differ by less are alike: no user feels it, and measured ones waver.
inline constexpr Duration kNearStep = 2ms;

// A chosen machine whose round trip is no longer is near enough to leave others at rest.
inline constexpr Duration kFar = 20ms;

struct Candidate {
  const model::RouteTarget* target = nullptr;
  int in_flight = 0;     // requests that are there now, as far as this router knows
  bool refused = false;  // it refused this request's connection a moment ago
  bool full = false;     // its node said so to this request a moment ago
  Duration aside{};  // set aside after failures (router/outliers.h) for so long; zero: it is not
  Duration rtt{};    // to its node; zero: this one
  bool reachable = true;
  bool leaving = false;  // its node is being emptied
  bool home = false;     // in the region of the router that chooses
  // How well it fits what the request asked for: 0 best. kNotWished: not at all, it may not be
  // chosen.
  int wish = 0;
};
inline constexpr int kNotWished = 1 << 30;

struct Policy {
  int soft_limit = 0;  // 0: none
  int hard_limit = 0;  // 0: none
  model::Balancing balancing = model::Balancing::nearest;
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
  not_wished,
  set_aside,
  at_hard_limit,
};
Verdict judge(const Candidate& candidate, const Policy& policy);

// Of machines that were set aside at most half of those that could serve stay so: where more fail,
// it is not them alone, and to choose among few would only bring those down too.
void keep_half(std::span<Candidate> candidates);
std::string_view describe(Verdict verdict);

// What machines that may be chosen are compared by. Of each, less is better.
enum class Criterion {
  wish,       // fits what the request asked for
  listening,  // its port is known to accept connections (else its report may be under way)
  staying,    // its node is not being emptied
  load,       // below the soft limit, or between soft and hard
  distance,   // round trip, in steps of kNearStep
  in_flight,  // requests there now
};
using Order = std::array<Criterion, 6>;
// The most important first.
constexpr Order order_of(model::Balancing balancing) {
  using enum Criterion;
  if (balancing == model::Balancing::balanced) {
    return {wish, listening, staying, load, distance, in_flight};
  }
  return {wish, listening, staying, distance, load, in_flight};
}
std::string_view name(Criterion criterion);

enum class Outcome {
  chosen,
  no_machines,     // the app has none
  none_started,    // none runs, and none is about to
  none_healthy,    // none that runs passes its checks
  wait,            // one is starting, may be woken, or refused: try again within a bound
  none_reachable,  // what runs is on nodes that can't be reached now: likewise
  none_wished,     // what runs is not what the request insists on
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

// Why the `i`th was chosen, or was not: "farther: 80 ms against 3 ms".
std::string why(std::span<const Candidate> candidates, const Policy& policy,
                const Decision& decision, std::size_t i);

}  // namespace perigee::routing
