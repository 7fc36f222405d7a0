#include "router/decisions.h"

namespace perigee::router {
namespace {

json::Value candidate_json(const Choice& choice, std::size_t i) {
  const routing::Candidate& candidate = choice.candidates[i];
  const model::RouteTarget& target = *candidate.target;
  return json::object(
      {{"machine", target.machine.str()},
       {"region", target.region.str()},
       {"node", target.node.str()},
       {"rtt_ms", static_cast<double>(candidate.rtt / 1us) / 1000},
       {"in_flight", candidate.in_flight},
       {"chosen", choice.decision.index == i},
       {"why", routing::why(choice.candidates, choice.policy, choice.decision, i)}});
}

}  // namespace

json::Value to_json(const Choice& choice) {
  json::Value candidates = json::array();
  for (std::size_t i = 0; i < choice.candidates.size(); ++i) {
    candidates.push(candidate_json(choice, i));
  }
  const bool balanced = choice.policy.balancing == model::Balancing::balanced;
  json::Value out = json::object({{"request_id", choice.request_id},
                                  {"at", to_rfc3339(choice.at)},
                                  {"host", choice.host},
                                  {"app", choice.route ? choice.route->app.str() : ""},
                                  {"attempt", choice.attempt},
                                  {"policy", balanced ? "balanced" : "nearest"},
                                  {"soft_limit", choice.policy.soft_limit},
                                  {"hard_limit", choice.policy.hard_limit},
                                  {"outcome", routing::describe(choice.decision.outcome)},
                                  {"candidates", std::move(candidates)}});
  if (choice.decision.index) {
    out.set("chosen", choice.candidates[*choice.decision.index].target->machine.str());
  }
  return out;
}

void Decisions::replace(Choice choice) {
  const std::size_t former = place_of(choice.request_id);
  if (former == kNone) return remember(std::move(choice));
  ring_[former] = std::move(choice);
}

void Decisions::remember(Choice choice) {
  if (ring_.size() < kRememberedDecisions) {
    ring_.push_back(std::move(choice));
  } else {
    ring_[next_] = std::move(choice);
  }
  next_ = (next_ + 1) % kRememberedDecisions;
}

const Choice* Decisions::find(std::string_view request_id) const {
  const std::size_t place = place_of(request_id);
  return place == kNone ? nullptr : &ring_[place];
}

// From the last one back: it is nearly always asked for at once.
std::size_t Decisions::place_of(std::string_view request_id) const {
  for (std::size_t i = 1; i <= ring_.size(); ++i) {
    const std::size_t place = (next_ + ring_.size() - i) % ring_.size();
    if (ring_[place].request_id == request_id) return place;
  }
  return kNone;
}

}  // namespace perigee::router
