// The first simulation: two nodes hand numbered messages over through a network that loses, doubles
// and delays them, while both lose power or are killed. Checked over many seeds, at every step:
// what was acknowledged is on the receiver's disk, once and in order.
#include "sim/simulation.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

#include "async/combine.h"
#include "base/text.h"

namespace perigee::sim {
namespace {

constexpr int kMessages = 12;
constexpr std::string_view kLog = "/state/received";
constexpr std::string_view kNext = "/state/next";

enum class Receiver { careful, hasty };  // hasty: acknowledges before it syncs

// What the checker sees; no part of the programs' own state.
struct Observed {
  int acknowledged = 0;
  std::string violation;
};

int last_number(const std::string& log) {
  int last = 0;
  for (const std::string_view line : split(trim(log), '\n')) {
    if (!line.empty()) last = static_cast<int>(parse_uint(line, 1000000).value());
  }
  return last;
}

async::Task<std::string> read_or_empty(sys::Host& host, std::string path) {
  auto text = co_await host.disk.read_file(std::move(path), 65536);
  co_return text ? *text : std::string();
}

async::Task<std::optional<Datagram>> receive_within(Node& node, Duration d) {
  auto& loop = node.host().loop;
  co_return co_await async::until(loop, loop.now() + d, node.receive());
}

// Sends 1, 2, … each until it is acknowledged; remembers on disk where it is.
async::Task<void> sender(Node& node, NodeIndex to, Observed* observed) {
  sys::Host& host = node.host();
  (void)co_await host.disk.make_directories("/state", 0700);
  const std::string stored = co_await read_or_empty(host, std::string(kNext));
  int number = stored.empty() ? 1 : static_cast<int>(parse_uint(stored, 1000000).value_or(1));
  while (number <= kMessages) {
    node.send(to, fmt::format("m {}", number));
    const std::optional<Datagram> answer = co_await receive_within(node, 50ms);
    if (!answer || answer->text != fmt::format("a {}", number)) continue;
    observed->acknowledged = std::max(observed->acknowledged, number);
    ++number;
    (void)co_await host.disk.write_file(std::string(kNext), std::to_string(number), 0600,
                                        sys::Durability::synced);
  }
}

async::Task<void> receiver(Node& node, Receiver kind) {
  sys::Host& host = node.host();
  (void)co_await host.disk.make_directories("/state", 0700);
  std::string log = co_await read_or_empty(host, std::string(kLog));
  int last = last_number(log);
  for (;;) {
    const Datagram message = co_await node.receive();
    const int number = static_cast<int>(parse_uint(message.text.substr(2), 1000000).value_or(0));
    if (number == last + 1) {
      log += fmt::format("{}\n", number);
      const auto durability =
          kind == Receiver::careful ? sys::Durability::synced : sys::Durability::cached;
      const auto written = co_await host.disk.write_file(std::string(kLog), log, 0600, durability);
      if (!written) continue;
      last = number;
    }
    if (number <= last) node.send(message.from, fmt::format("a {}", number));
  }
}

// Crashes a node now and then, and starts it again; now and then parts the two for a while.
async::Task<void> trouble(Simulation& simulation) {
  Random& random = simulation.random();
  for (int i = 0; i < 6; ++i) {
    co_await simulation.loop().sleep(random.between(5ms, 300ms));
    if (random.chance(250)) {
      simulation.network().partition(0, 1);
      co_await simulation.loop().sleep(random.between(10ms, 400ms));
      simulation.network().heal(0, 1);
      continue;
    }
    Node& victim = simulation.node(random.below(2));
    victim.crash(random.chance(500) ? Crash::power : Crash::process);
    co_await simulation.loop().sleep(random.between(1ms, 200ms));
    victim.restart();
  }
}

async::Task<void> check(Simulation& simulation, Observed* observed) {
  for (int round = 0; round < 600; ++round) {
    co_await simulation.loop().sleep(10ms);
    sys::Host& host = simulation.node(1).host();
    const std::string log = co_await read_or_empty(host, std::string(kLog));
    std::string expected;
    for (int i = 1; i <= last_number(log); ++i) expected += fmt::format("{}\n", i);
    if (log != expected) observed->violation = "the log has a gap or a double: " + log;
    if (last_number(log) < observed->acknowledged) observed->violation = "an answer was a lie";
    if (last_number(log) == kMessages && observed->acknowledged == kMessages) co_return;
  }
  observed->violation += " not all messages arrived";
}

struct Outcome {
  std::uint64_t hash = 0;
  std::string violation;
};

Outcome run_once(std::uint64_t seed, Receiver kind) {
  Simulation simulation(seed);
  simulation.network().set_all_links(
      {.delay = 2ms, .jitter = 8ms, .loss_per_mille = 200, .duplicate_per_mille = 100});
  Observed observed;
  Node& a = simulation.add_node("a");
  Node& b = simulation.add_node("b");
  a.start([&observed](Node& node) { return sender(node, 1, &observed); });
  b.start([kind](Node& node) { return receiver(node, kind); });
  async::TaskGroup weather(simulation.loop());
  weather.spawn(trouble(simulation));
  simulation.run(check(simulation, &observed));
  return {simulation.trace().hash(), observed.violation};
}

TEST_CASE("acknowledged messages survive loss, partitions and crashes, over 200 seeds") {
  std::set<std::uint64_t> hashes;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    const Outcome outcome = run_once(seed, Receiver::careful);
    REQUIRE(outcome.violation == "");
    hashes.insert(outcome.hash);
  }
  CHECK(hashes.size() == 200);  // different seeds, different histories
}

TEST_CASE("the same seed gives the same trace hash") {
  for (const std::uint64_t seed : {3U, 77U, 4242U}) {
    CHECK(run_once(seed, Receiver::careful).hash == run_once(seed, Receiver::careful).hash);
  }
}

TEST_CASE("a receiver that acknowledges before it syncs is caught") {
  int caught = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    if (!run_once(seed, Receiver::hasty).violation.empty()) ++caught;
  }
  CHECK(caught > 5);
}

async::Task<void> count_steps(Node& node) {
  for (int i = 0; i < 3; ++i) {
    (void)co_await node.host().disk.write_file(fmt::format("/{}", i), "x", 0600,
                                               sys::Durability::synced);
  }
}

TEST_CASE("a node crashes at the step it was told to") {
  for (std::uint64_t at = 1; at <= 6; ++at) {
    Simulation simulation(1);
    Node& node = simulation.add_node("n");
    bool crashed = false;
    node.on_crash([&crashed](Node&) { crashed = true; });
    node.crash_at_step(at, Crash::process);
    node.start([](Node& self) { return count_steps(self); });
    simulation.run_for(1s);
    CHECK(crashed);
    CHECK_FALSE(node.running());
    CHECK(node.disk().paths().size() == 1 + at / 2);  // "/" and what was written by then
  }
}

}  // namespace
}  // namespace perigee::sim
