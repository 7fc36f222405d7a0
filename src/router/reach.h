// Reach: finds a machine that takes a request: chooses, tries, and where one does not take it tries
// another one, or waits: for a machine that is being started, for a place where all are at their
// hard limit, for a node to answer.
//
//   auto reached = co_await reach.find(transaction);   // an answer's head, or why there is none
//
// A request is tried again only where retry.h allows it. Waits end at their bounds: reach_bound to
// find one that takes the connection, wake_bound while one is started, queue_bound for a place.
// The newest table is asked each time, control never, but to start a machine (Waker).
// Owned by Proxy, on the router's loop.
#pragma once

#include <expected>
#include <optional>

#include "backhaul/load_feed.h"
#include "router/attempt.h"
#include "router/candidates.h"
#include "router/error_page.h"
#include "router/transaction.h"
#include "router/waker.h"
#include "routing/choose.h"

namespace perigee::router {

struct ReachBounds {
  Duration reach = kReachBound;
  Duration wake = kWakeBound;
  Duration queue = kQueueBound;
};

class Reach {
 public:
  Reach(sys::Host& host, State& state, Attempts& attempts, backhaul::Client& nodes,
        backhaul::LoadFeed& loads, Waker& waker, std::string own_node, ReachBounds bounds);

  using Found = std::expected<Reached, Problem>;
  async::Task<Found> find(Transaction& t);

 private:
  struct Search;
  routing::Decision choose(Transaction& t, Search& search);
  void follow_loads(const Search& search, const routing::Decision& decision);
  void prepare(Transaction& t, Search& search, const routing::Decision& decision);
  enum class Next { attempt, queue, pause, give_up };
  Next next_step(const Transaction& t, const Search& search,
                 const routing::Decision& decision) const;
  async::Task<std::optional<Found>> attempt(Transaction& t, Search& search,
                                            const model::RouteTarget& target);
  void watch(const model::RouteTarget& target, const Attempt& done);
  std::optional<Problem> judge_failure(Transaction& t, Search& search,
                                       const model::RouteTarget& target,
                                       const backhaul::Failure& failure);
  Problem unanswered(const Transaction& t, const model::RouteTarget& target,
                     const backhaul::Failure& failure) const;
  async::Task<std::optional<Problem>> queue(const Transaction& t, Search& search);
  async::Task<void> pause(Search& search);
  Problem give_up(const Search& search, routing::Outcome outcome) const;

  sys::Host& host_;
  State& state_;
  Attempts& attempts_;
  backhaul::LoadFeed& loads_;
  Waker& waker_;
  ReachBounds bounds_;
  std::string own_node_;
  Candidates candidates_;
};

}  // namespace perigee::router
