// What the loops of a process share of their machines' requests.
#include "router/occupancy.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "router/loads.h"
#include "sys/posix_host.h"

namespace perigee::router {
namespace {

struct Fixture {
  async::Loop& loop() { return posix->loop(); }
  void turn() {
    struct Go {
      static async::Task<void> run(async::Loop& loop) { co_await loop.sleep(5ms); }
    };
    loop().run(Go::run(loop()));
  }
  std::unique_ptr<sys::PosixHost> posix = *sys::PosixHost::open(1);
  std::shared_ptr<Occupancy> shared = std::make_shared<Occupancy>();
};

TEST_CASE("however many threads ask, a machine has no more than its limit") {
  constexpr int kLimit = 3;
  Occupancy shared;
  std::atomic<int> most = 0;
  std::atomic<int> taken = 0;
  const auto work = [&] {
    const Occupancy::MachinePtr machine = shared.machine("m1");
    for (int i = 0; i < 20'000; ++i) {
      if (!machine->try_enter(kLimit)) continue;
      ++taken;
      const int now = machine->count();
      for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
      }
      shared.leave(*machine, "m1");
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back(work);
  for (std::thread& each : threads) each.join();
  CHECK(most <= kLimit);
  CHECK(taken > 0);
  CHECK(shared.machine("m1")->count() == 0);
}

TEST_CASE_FIXTURE(Fixture, "one loop's requests count against the other's limit") {
  Loads one(shared);
  Loads two(shared);
  auto first = one.take("m1", 2);
  auto second = two.take("m1", 2);
  REQUIRE((first && second));
  CHECK_FALSE(one.take("m1", 2).has_value());
  CHECK(one.take("m1", 0).has_value());  // where there is no limit
  CHECK(two.of("m1") == 2);
  CHECK(two.report().front().second.in_flight == 1);  // what it tells control is its own
  first.reset();
  CHECK(two.take("m1", 2).has_value());
}

TEST_CASE_FIXTURE(Fixture, "who waits for a place hears of it on its own loop, once") {
  Loads waiting(shared);
  Loads working(shared);
  std::vector<std::string> heard;
  auto listening = shared->on_freed(loop(), [&](const std::string& id) { heard.push_back(id); });
  const auto other = shared->on_freed(loop(), [](const std::string&) {});
  working.take("m1", 1).reset();
  turn();
  CHECK(heard.empty());  // nobody waited
  auto slot = working.take("m1", 1);
  waiting.await("m1");
  std::thread([&] { slot.reset(); }).join();
  CHECK(heard.empty());  // not on that thread
  turn();
  CHECK(heard == std::vector<std::string>{"m1"});
  working.take("m1", 1).reset();
  turn();
  CHECK(heard.size() == 1);
  waiting.await("m1");
  working.take("m1", 1).reset();
  listening.reset();
  turn();
  CHECK(heard.size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "a machine that nobody has to do with is forgotten") {
  Loads loads(shared);
  for (int i = 0; i < 1000; ++i) {
    loads.take(std::to_string(i), 1).reset();
    loads.acknowledge(loads.report());
  }
  CHECK(loads.report().empty());
  CHECK(shared->size() < 200);
}

}  // namespace
}  // namespace perigee::router
