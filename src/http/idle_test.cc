// Connections between requests: who waits, for how long, and what ends it.
#include "http/idle.h"

#include <doctest/doctest.h>

#include "async/task_group.h"
#include "sim/simulation.h"

namespace perigee::http {
namespace {

struct Fixture {
  // Three connections; the far ends are the test's.
  Fixture() { simulation.run(connect(*this)); }
  ~Fixture() { tasks.cancel_all(); }
  static async::Task<void> connect(Fixture& f) {
    f.tasks.spawn(f.idle.run());
    const auto at = *sys::Address::ip(sim::SimNetwork::address_of(0), 80);
    auto listener = f.node->host().network.listen(at);
    for (std::size_t i = 0; i < 3; ++i) {
      auto far = co_await f.node->host().network.connect(at, f.loop().deadline_in(10s));
      auto near = co_await (*listener)->accept();
      REQUIRE(far.has_value());
      f.far.push_back(*std::move(far));
      f.near.push_back(*std::move(near));
    }
  }
  static async::Task<void> wait(Fixture& f, std::size_t i) {
    f.ended[i] = co_await f.idle.wait(*f.near[i]) ? "readable" : "over";
  }
  void begin(std::size_t i) { tasks.spawn(wait(*this, i)); }
  void pass(Duration time) { simulation.run_for(time); }
  async::Loop& loop() { return simulation.loop(); }

  sim::Simulation simulation{1};
  sim::Node* node = &simulation.add_node("server");
  std::vector<std::unique_ptr<sys::Stream>> near;
  std::vector<std::unique_ptr<sys::Stream>> far;
  std::array<std::string, 3> ended;
  IdleConnections idle{simulation.loop(), 10s};
  async::TaskGroup tasks{simulation.loop()};
};

TEST_CASE_FIXTURE(Fixture, "each has its own time") {
  begin(0);
  pass(4s);
  begin(1);
  pass(5s);
  CHECK(ended[0].empty());
  pass(2s);
  CHECK(ended[0] == "over");
  CHECK(ended[1].empty());
  begin(2);
  pass(4s);
  CHECK(ended[1] == "over");
  CHECK(ended[2].empty());
  pass(7s);
  CHECK(ended[2] == "over");
}

TEST_CASE_FIXTURE(Fixture, "bytes and the peer's end are both something to read") {
  for (std::size_t i = 0; i < 3; ++i) begin(i);
  tasks.spawn(
      [](Fixture& f) -> async::Task<void> { std::ignore = co_await f.far[1]->write("x"); }(*this));
  pass(1s);
  CHECK(ended[0].empty());
  CHECK(ended[1] == "readable");
  std::ignore = far[0]->shutdown_write();
  pass(1s);
  CHECK(ended[0] == "readable");
  pass(10s);
  CHECK(ended[2] == "over");  // the one that is left, in the midst of a list once
}

TEST_CASE_FIXTURE(Fixture, "an end of all ends those to come, too") {
  begin(0);
  begin(1);
  idle.end_all();
  pass(1ms);
  CHECK(ended[0] == "over");
  CHECK(ended[1] == "over");
  begin(2);
  pass(1ms);
  CHECK(ended[2] == "over");
}

TEST_CASE_FIXTURE(Fixture, "who goes while it waits leaves the others in place") {
  async::TaskGroup gone(loop());
  begin(0);
  gone.spawn(wait(*this, 1));
  begin(2);
  gone.cancel_all();
  pass(11s);
  CHECK(ended[0] == "over");
  CHECK(ended[1].empty());
  CHECK(ended[2] == "over");
}

}  // namespace
}  // namespace perigee::http
