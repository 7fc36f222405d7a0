// Decisions: what was chosen for the last requests and from what, so that `perigee explain` can say
// why. A ring: an old request makes room for a new one, and of a request that was given to one
// machine after another the last choice is kept. Costs a request a few stores; the words are made
// when somebody asks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "json/json.h"
#include "router/limits.h"
#include "routing/choose.h"
#include "routing/route_table.h"

namespace perigee::router {

// One choice with all that it was made from.
struct Choice {
  std::string request_id;  // empty: of no request yet
  WallTime at{};
  std::string host{};
  routing::RoutePtr route{};  // holds what the candidates point to
  std::vector<routing::Candidate> candidates{};
  routing::Policy policy{};
  routing::Decision decision{};
  int attempt = 1;  // the request's
};

// {"app", "outcome", "chosen", "policy", "candidates": [{"machine", "region", "node", "rtt_ms",
// "in_flight", "chosen", "why"}]}
json::Value to_json(const Choice& choice);

class Decisions {
 public:
  // Of a request that had none yet.
  void remember(Choice choice);
  // Of one that had another, which may have been forgotten by now.
  void replace(Choice choice);
  // The last of that request; null: none, or so many requests ago that it was forgotten.
  const Choice* find(std::string_view request_id) const;

 private:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::size_t place_of(std::string_view request_id) const;  // in the ring

  std::vector<Choice> ring_;
  std::size_t next_ = 0;
};

}  // namespace perigee::router
