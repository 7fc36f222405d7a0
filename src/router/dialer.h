// Dialer: connects to a machine of an app, for what is no HTTP request: a TCP connection of a user.
//
//   auto dialed = co_await dialer.dial({.app = "db", .internal_port = 5432, .client = …});
//   if (!dialed) … dialed.error() says why no machine took it
//
// The machine is chosen as a request's is (routing::choose): by the newest table, another one where
// one refuses, with a wait while one is being started, or while all are at their hard limit, in one
// line with the app's requests. Nothing has been sent to the machine when it
// returns, so all of that is safe. One of another node is reached through a tunnel.
// Owned by Router, on its loop.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "backhaul/client.h"
#include "router/candidates.h"
#include "router/limits.h"
#include "router/state.h"
#include "router/waker.h"
#include "sys/host.h"

namespace perigee::router {

struct Call {
  std::string app;
  int internal_port = 0;  // of one of the app's services
  sys::Address client{};
  int listener_port = 0;  // that the client is connected to
  std::string id{};       // of the connection, in logs
};

struct Dialed {
  std::unique_ptr<sys::Stream> stream;
  std::string machine;
  std::string node;
  int attempts = 0;
  Loads::Slot here{};                // at a machine of this node
  backhaul::LoadView::Slot there{};  // at one of another
};

class Dialer {
 public:
  struct Bounds {
    Duration reach = kReachBound;
    Duration wake = kWakeBound;
    Duration queue = kQueueBound;
  };
  Dialer(sys::Host& host, State& state, backhaul::Client& nodes, Waker& waker, std::string own_node,
         Bounds bounds);

  async::Task<Result<Dialed>> dial(Call call);

 private:
  struct Search;
  // The decision, and what it is about: values, as a table may change while one waits.
  struct Choice {
    routing::Decision decision;
    model::RouteTarget target{};  // where one was chosen
  };
  Choice choose(const Call& call, Search& search);
  void wake(const Call& call, Search& search, const routing::Decision& decision,
            const model::Service& service);
  async::Task<Result<Dialed>> attempt(const Call& call, Search& search,
                                      const model::RouteTarget& target);
  async::Task<Result<Dialed>> connect(const Call& call, const model::RouteTarget& target,
                                      int hard_limit, std::optional<backhaul::Refusal>& refusal);
  bool must_queue(const Call& call, const Search& search, routing::Outcome outcome) const;
  async::Task<Result<void>> queue(const Call& call, Search& search);
  async::Task<void> pause(Search& search);
  static Error give_up(const Call& call, const Search& search, routing::Outcome outcome);

  sys::Host& host_;
  State& state_;
  backhaul::Client& nodes_;
  Waker& waker_;
  std::string own_node_;
  Bounds bounds_;
  Candidates candidates_;
};

}  // namespace perigee::router
