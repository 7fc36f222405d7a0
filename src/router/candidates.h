// Candidates: the machines of an app as the choice wants them: with what this router knows now of
// their load, how far they are, and what the request asks for. For requests and for `explain`.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "backhaul/client.h"
#include "http/message.h"
#include "router/state.h"
#include "routing/choose.h"
#include "routing/wish.h"

namespace perigee::router {

// Machines that did not take this request a moment ago.
struct Tried {
  std::set<std::string> refused{};
  std::set<std::string> full{};  // at their hard limit, as their node knows
};

class Candidates {
 public:
  Candidates(const async::Loop& loop, const State& state, const backhaul::Client& nodes,
             std::string own_node)
      : loop_(loop), state_(state), nodes_(nodes), own_node_(std::move(own_node)) {}

  // They point into `route`.
  std::vector<routing::Candidate> of(const model::AppRoute& route, const routing::Wish& wish,
                                     const Tried& tried) const;

 private:
  routing::Candidate one(const model::RouteTarget& target) const;
  const model::RouteNode* node_named(const std::string& name) const;  // of the fleet; may be null

  const async::Loop& loop_;
  const State& state_;
  const backhaul::Client& nodes_;
  std::string own_node_;
};

// From the request's headers (docs/load-balancing.md). What can't be understood asks for nothing.
routing::Wish wish_of(const http::Headers& headers);

}  // namespace perigee::router
