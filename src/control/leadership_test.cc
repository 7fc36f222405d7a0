// Several controls on one store, on virtual time: at any moment at most one leads a task, somebody
// does again soon after a leader has gone, and what a former one still writes conflicts.
#include "control/leadership.h"

#include <doctest/doctest.h>

#include "async/combine.h"
#include "async/task_group.h"
#include "sim/simulation.h"
#include "store/memory_store.h"

namespace perigee::control {
namespace {

using Controls = LeadershipConfig::Controls;

// One control's way to the store: while it is cut off, calls wait.
class Line : public store::Store {
 public:
  Line(async::Loop& loop, store::Store& store) : store_(store), restored_(loop) {}
  void cut() { cut_ = true; }
  void restore() {
    cut_ = false;
    restored_.notify_all();
  }
  async::Task<Result<std::optional<store::Entry>>> get(std::string key) override {
    while (cut_) co_await restored_.wait();
    co_return co_await store_.get(std::move(key));
  }
  async::Task<Result<store::Listing>> list(std::string prefix) override {
    while (cut_) co_await restored_.wait();
    co_return co_await store_.list(std::move(prefix));
  }
  async::Task<Result<store::Revision>> commit(store::Transaction transaction) override {
    while (cut_) co_await restored_.wait();
    co_return co_await store_.commit(std::move(transaction));
  }
  Result<std::unique_ptr<store::Watch>> watch(std::string prefix, store::Revision after) override {
    return store_.watch(std::move(prefix), after);
  }

 private:
  store::Store& store_;
  bool cut_ = false;
  async::Notify restored_;
};

struct Counter {
  explicit Counter(int& of) : count(of) { ++count; }
  ~Counter() { --count; }
  Counter(const Counter&) = delete;
  Counter& operator=(const Counter&) = delete;
  int& count;
};

async::Task<void> work(async::Loop& loop, int& working) {
  const Counter counter(working);
  for (;;) co_await loop.sleep(1h);
}

// A control that leads the task "t" when it may.
struct TestControl {
  TestControl(async::Loop& l, store::Store& store, LeadershipConfig config)
      : loop(l), line(l, store), leadership(l, line, std::move(config)), tasks(l) {
    fence = &leadership.add("t");
    tasks.spawn(leadership.lead("t", [this] { return work(loop, working); }));
    tasks.spawn(leadership.run());
  }
  Result<store::Revision> write(std::string value) {
    store::Transaction t;
    t.expect(fence->key, fence->revision);
    t.put("/written", std::move(value));
    return loop.run(line.commit(std::move(t)));
  }

  async::Loop& loop;
  Line line;
  Leadership leadership;
  const Fence* fence = nullptr;
  int working = 0;
  async::TaskGroup tasks;
};

struct Fixture {
  explicit Fixture(std::uint64_t seed = 1) : simulation(seed) {}
  std::unique_ptr<TestControl> control(const char* node, Controls controls = Controls::many) {
    return std::make_unique<TestControl>(
        simulation.loop(), store,
        LeadershipConfig{.controls = controls,
                         .node = NodeId(node),
                         .process = fmt::format("p{}", ++processes)});
  }
  sim::Simulation simulation;
  store::MemoryStore store{simulation.loop()};
  int processes = 0;
};

TEST_CASE_FIXTURE(Fixture,
                  "a control that is alone with its store leads at once and beats no more") {
  const auto only = control("a", Controls::one);
  simulation.run_for(1ms);
  CHECK(only->working == 1);
  const store::Revision then = simulation.run(store.list("/"))->revision;
  simulation.run_for(1h);
  CHECK(only->working == 1);
  CHECK(simulation.run(store.list("/"))->revision == then);
  CHECK(only->write("1").has_value());
}

TEST_CASE_FIXTURE(Fixture, "of several controls one leads, and another does when it has gone") {
  auto a = control("a");
  simulation.run_for(10ms);
  const auto b = control("b");
  simulation.run_for(1min);
  CHECK(a->working == 1);
  CHECK(b->working == 0);
  a.reset();
  simulation.run_for(kLeaderClaim - kLeaderBeat - 1s);
  CHECK(b->working == 0);
  simulation.run_for(2 * kLeaderBeat + 2s);
  CHECK(b->working == 1);
}

TEST_CASE_FIXTURE(Fixture, "a leader that is cut off stops before another begins, and is fenced") {
  const auto a = control("a");
  simulation.run_for(10ms);
  const auto b = control("b");
  simulation.run_for(10s);
  const Fence before = *a->fence;
  a->line.cut();
  Duration both_idle{};
  for (Duration passed{}; b->working == 0; passed += 100ms) {
    REQUIRE(passed < kLeaderClaim + 2 * kLeaderBeat);
    CHECK(a->working + b->working <= 1);
    if (a->working == 0) both_idle += 100ms;
    simulation.run_for(100ms);
  }
  CHECK(a->working == 0);
  CHECK(both_idle > 1s);  // the margin between the two clocks
  a->line.restore();
  store::Transaction late;
  late.expect(before.key, before.revision);
  late.put("/written", "by a");
  CHECK(simulation.run(store.commit(late)).error().code == Code::conflict);
  simulation.run_for(1min);
  CHECK(a->working == 0);
  CHECK(a->fence->revision == 0);
  CHECK(b->write("by b").has_value());
}

TEST_CASE_FIXTURE(Fixture, "a control that starts again on its node leads without waiting") {
  auto a = control("a");
  simulation.run_for(10s);
  const auto b = control("b");
  simulation.run_for(10s);
  a.reset();
  a = control("a");
  simulation.run_for(10ms);
  CHECK(a->working == 1);
  CHECK(b->working == 0);
}

TEST_CASE_FIXTURE(Fixture, "a process that another of its node has followed leads no more") {
  const auto old = control("a");
  simulation.run_for(10s);
  const auto next = control("a");
  simulation.run_for(10ms);
  CHECK(next->working == 1);
  CHECK(old->write("late").error().code == Code::conflict);
  simulation.run_for(1min);
  CHECK(old->working == 0);
  CHECK(next->working == 1);
}

TEST_CASE("whatever is cut off and comes back, no two lead at one time, and one does in the end") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    Fixture f(seed);
    std::vector<std::unique_ptr<TestControl>> controls;
    for (const char* node : {"a", "b", "c"}) controls.push_back(f.control(node));
    const auto leading = [&] {
      int count = 0;
      for (const auto& each : controls) count += each->working;
      return count;
    };
    for (int step = 0; step < 200; ++step) {
      TestControl& one = *controls[f.simulation.random().below(controls.size())];
      if (f.simulation.random().below(2) == 0)
        one.line.cut();
      else
        one.line.restore();
      f.simulation.run_for(f.simulation.random().below(8) * 1s);
      CHECK(leading() <= 1);
    }
    for (const auto& each : controls) each->line.restore();
    f.simulation.run_for(kLeaderClaim + 3 * kLeaderBeat);
    CHECK(leading() == 1);
  }
}

}  // namespace
}  // namespace perigee::control
