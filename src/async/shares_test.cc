// Who had little of a loop's time goes first while it is busy, and nobody starves.
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "async/event.h"
#include "async/loop.h"
#include "async/shares.h"
#include "async/task_group.h"

namespace perigee::async {
namespace {

constexpr MonotonicTime kStart{1'000'000'000'000};

TEST_CASE("a share's level is what it used, halved each epoch") {
  Shares shares;
  const ShareId one = Shares::of(7);
  CHECK(shares.level(one, kStart) == 0);
  struct Row {
    Duration used;  // more
    std::size_t level;
  };
  for (const auto& [used, level] : {Row{499us, 0},
                                    {1us, 1},
                                    {500us, 2},
                                    {999us, 2},
                                    {1us, 3},
                                    {14ms, 6},
                                    {16ms, 7},
                                    {10s, 7}}) {
    shares.charge(one, used, kStart);
    CAPTURE(used.count());
    CHECK(shares.level(one, kStart) == level);
  }
  CHECK(shares.level(Shares::of(8), kStart) == 0);
  CHECK(shares.level(one, kStart + 8 * Shares::kEpoch) == 7);
  CHECK(shares.level(one, kStart + 15 * Shares::kEpoch) == 0);
  CHECK(shares.level(one, kStart + 100'000 * Shares::kEpoch) == 0);
}

TEST_CASE("the program's own work costs nobody's share") {
  Shares shares;
  shares.charge(kOwnShare, 10s, kStart);
  CHECK(shares.level(kOwnShare, kStart) == 0);
}

TEST_CASE("each client has a slot, and none has the program's own") {
  for (std::uint64_t client = 0; client < 5000; ++client) {
    CHECK(Shares::of(client) != kOwnShare);
    CHECK(Shares::of(client) <= Shares::kSlots);
  }
}

// Time passes by work.
class WorkPort : public EventPort {
 public:
  MonotonicTime now() override { return now_; }
  void wait(std::optional<MonotonicTime> until) override {
    if (until) now_ = std::max(now_, *until);
  }
  void wake() override {}
  void work(Duration d) { now_ = now_ + d; }

 private:
  MonotonicTime now_ = kStart;
};

struct Busy {
  WorkPort port;
  Loop loop{port};
  std::vector<Duration> delays;  // of who works little
  int steps = 0;                 // of those who never end

  Task<void> without_end() {
    for (;;) {
      port.work(100us);
      ++steps;
      co_await loop.yield();
    }
  }
  // Each 10 ms a request that needs three turns.
  Task<void> now_and_then() {
    for (int i = 0; i < 100; ++i) {
      const MonotonicTime due = loop.now() + 10ms;
      co_await loop.sleep_until(due);
      for (int turn = 0; turn < 3; ++turn) {
        co_await loop.yield();
        port.work(10us);
      }
      delays.push_back(port.now() - due);
    }
  }
};

Duration worst(const Busy& busy, std::size_t from = 0) {
  return *std::max_element(busy.delays.begin() + static_cast<std::ptrdiff_t>(from),
                           busy.delays.end());
}

TEST_CASE("who works without end delays itself, not others") {
  Busy busy;
  TaskGroup tasks(busy.loop);
  for (int i = 0; i < 100; ++i) tasks.spawn_for(Shares::of(1), busy.without_end());
  {
    const OnBehalfOf other(busy.loop, Shares::of(2));
    busy.loop.run(busy.now_and_then());
  }
  CHECK(worst(busy, 5) < 6 * Loop::kFairTurn);
  // What is left of the time is theirs.
  CHECK(busy.steps * 100us > 90 * (busy.port.now() - kStart) / 100);
}

TEST_CASE("the program's own work without end leaves clients half of the time") {
  Busy busy;
  TaskGroup tasks(busy.loop);
  for (int i = 0; i < 100; ++i) tasks.spawn(busy.without_end());
  {
    const OnBehalfOf client(busy.loop, Shares::of(2));
    busy.loop.run(busy.now_and_then());
  }
  CHECK(worst(busy, 5) < 8 * Loop::kFairTurn);
}

TEST_CASE("of one client each waits for all") {
  Busy busy;
  TaskGroup tasks(busy.loop);
  for (int i = 0; i < 100; ++i) tasks.spawn_for(Shares::of(1), busy.without_end());
  const OnBehalfOf same(busy.loop, Shares::of(1));
  busy.loop.run(busy.now_and_then());
  CHECK(worst(busy) > 10ms);
}

TEST_CASE("who had most does not starve") {
  Busy busy;
  TaskGroup tasks(busy.loop);
  int heavy = 0;
  struct Heavy {
    static Task<void> run(Busy& b, int& count) {
      for (;;) {
        b.port.work(200us);
        ++count;
        co_await b.loop.yield();
      }
    }
  };
  for (int i = 0; i < 20; ++i) tasks.spawn_for(Shares::of(1), Heavy::run(busy, heavy));
  // More than the loop can do, from twenty others.
  for (int i = 0; i < 20; ++i) {
    tasks.spawn_for(Shares::of(2 + static_cast<std::uint64_t>(i)), busy.without_end());
  }
  struct Until {
    static Task<void> pass(Busy& b) {
      const MonotonicTime end = b.port.now() + 5s;
      while (b.port.now() < end) co_await b.loop.yield();
    }
  };
  busy.loop.run(Until::pass(busy));
  // A twenty-first of the time, less what levels round.
  CHECK(heavy * 200us > (busy.port.now() - kStart) / 100);
}

TEST_CASE("who is cancelled while it waits for its turn is gone") {
  Busy busy;
  {
    TaskGroup tasks(busy.loop);
    for (int i = 0; i < 50; ++i) tasks.spawn_for(Shares::of(1), busy.without_end());
    for (int i = 0; i < 5; ++i) busy.loop.turn(Loop::MayWait::no);
  }
  const int steps = busy.steps;
  for (int i = 0; i < 5; ++i) busy.loop.turn(Loop::MayWait::no);
  CHECK(busy.steps == steps);
}

TEST_CASE("a group's tasks run on behalf of who made it") {
  Busy busy;
  std::vector<ShareId> seen;
  struct Look {
    static Task<void> run(Loop& loop, std::vector<ShareId>& out) {
      out.push_back(loop.share());
      co_await loop.yield();
      out.push_back(loop.share());
    }
  };
  TaskGroup own(busy.loop);
  {
    const OnBehalfOf client(busy.loop, Shares::of(3));
    TaskGroup theirs(busy.loop);
    own.spawn(Look::run(busy.loop, seen));
    theirs.spawn(Look::run(busy.loop, seen));
    CHECK(busy.loop.share() == Shares::of(3));
    for (int i = 0; i < 3; ++i) busy.loop.turn(Loop::MayWait::no);
  }
  CHECK(seen == std::vector<ShareId>{kOwnShare, Shares::of(3), kOwnShare, Shares::of(3)});
}

}  // namespace
}  // namespace perigee::async
