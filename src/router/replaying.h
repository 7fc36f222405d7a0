// Replaying: the replays of one request (replay.h): checks each against the bounds, sets up where
// the request is taken next, and where it falls back to. A part of Proxy's phases; changes the
// transaction's leg and its body's position, and nothing else.
//
//   Replaying replaying(state, loop, clock);
//   if (auto problem = replaying.begin(t, replay_of(head, body))) …   // what the client is told
//   else reach again; where that fails: if (replaying.fall_back(t, problem)) reach once more
//
// A request may be taken to any app of the platform: they are all of one owner. It is replayed
// kMaxReplays times at most, so a circle ends; one that fell back is not replayed any more.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "router/error_page.h"
#include "router/replay.h"
#include "router/transaction.h"
#include "sys/host.h"

namespace perigee::router {

class Replaying {
 public:
  Replaying(const State& state, const async::Loop& loop, sys::Clock& clock)
      : state_(state), loop_(loop), clock_(clock) {}

  std::optional<Problem> begin(Transaction& t, const Result<Replay>& replay);
  // False: it stays with the problem.
  bool fall_back(Transaction& t, const Problem& problem);

 private:
  std::optional<Problem> refusal(Transaction& t, const Result<Replay>& replay) const;
  std::optional<Problem> find_app(const Transaction& t, const Replay& replay, Leg& leg) const;
  std::string source(const Transaction& t, const Replay& replay) const;

  // The machine that asked last, and what it said of failures.
  struct Asker {
    Leg leg{};
    MachineId machine{};
    ReplayFallback fallback = ReplayFallback::none;
    MonotonicTime at{};
  };
  const State& state_;
  const async::Loop& loop_;
  sys::Clock& clock_;
  std::unique_ptr<Asker> asker_;  // once there was one: most requests are not replayed
  int count_ = 0;
  bool fell_back_ = false;
};

}  // namespace perigee::router
