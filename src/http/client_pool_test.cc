// Idle connections of a client: which is taken, how many are kept, when they go.
#include "http/client_pool.h"

#include <doctest/doctest.h>

#include "sim/simulation.h"

namespace perigee::http {
namespace {

struct Fixture {
  static sys::Address place(std::size_t port) {
    return *sys::Address::ip(sim::SimNetwork::address_of(0), static_cast<std::uint16_t>(port));
  }
  // A connection to that port; the far ends are the test's.
  static async::Task<void> connect(Fixture& f, std::size_t port,
                                   std::unique_ptr<sys::Stream>& into) {
    sys::Network& network = f.node->host().network;
    auto listener = network.listen(place(port));
    auto near = co_await network.connect(place(port), f.simulation.loop().deadline_in(10s));
    f.far.push_back(*co_await (*listener)->accept());
    into = *std::move(near);
  }
  sys::Stream* put(Pool& pool, std::size_t port) {
    std::unique_ptr<sys::Stream> stream;
    simulation.run(connect(*this, port, stream));
    sys::Stream* raw = stream.get();
    pool.put(place(port), std::move(stream));
    return raw;
  }

  sim::Simulation simulation{1};
  sim::Node* node = &simulation.add_node("client");
  std::vector<std::unique_ptr<sys::Stream>> far;
};

TEST_CASE_FIXTURE(Fixture, "the newest is taken first, and the oldest makes room") {
  Pool pool(simulation.loop(), {.max_idle_per_address = 2});
  put(pool, 80);
  const sys::Stream* second = put(pool, 80);
  const sys::Stream* third = put(pool, 80);
  CHECK(pool.size() == 2);
  CHECK(pool.take(place(80)).get() == third);
  CHECK(pool.take(place(80)).get() == second);
  CHECK(pool.take(place(80)) == nullptr);
  CHECK(pool.size() == 0);
}

TEST_CASE_FIXTURE(Fixture, "all addresses together have no more than they may") {
  Pool pool(simulation.loop(), {.max_idle = 2});
  put(pool, 80);
  put(pool, 81);
  const sys::Stream* newest = put(pool, 81);
  put(pool, 82);
  CHECK(pool.size() == 2);
  CHECK(pool.take(place(82)) == nullptr);
  CHECK(pool.take(place(81)).get() == newest);
  CHECK(pool.size() == 1);
  put(pool, 82);
  CHECK(pool.size() == 2);
  pool.forget(place(82));
  pool.forget(place(83));
  CHECK(pool.size() == 1);
}

TEST_CASE_FIXTURE(Fixture, "what was idle for too long, or has ended, is not taken") {
  Pool pool(simulation.loop(), {.idle_timeout = 10s});
  put(pool, 80);
  simulation.run_for(6s);
  put(pool, 80);
  far.back().reset();
  simulation.run_for(1s);
  CHECK(pool.take(place(80)) != nullptr);
  CHECK(pool.size() == 0);
  put(pool, 81);
  simulation.run_for(11s);
  pool.expire();
  CHECK(pool.size() == 0);
}

}  // namespace
}  // namespace perigee::http
