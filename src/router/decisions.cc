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

void Decisions::remember(Choice choice) {
  const auto [place, is_new] = places_.try_emplace(choice.request_id, next_);
  if (!is_new) {
    ring_[place->second] = std::move(choice);
    return;
  }
  if (ring_.size() < kRememberedDecisions) {
    ring_.push_back(std::move(choice));
  } else {
    places_.erase(ring_[next_].request_id);
    ring_[next_] = std::move(choice);
  }
  next_ = (next_ + 1) % kRememberedDecisions;
}

const Choice* Decisions::find(std::string_view request_id) const {
  const auto place = places_.find(std::string(request_id));
  return place == places_.end() ? nullptr : &ring_[place->second];
}

}  // namespace perigee::router
