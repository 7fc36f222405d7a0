// The simulated machine's parts, each alone: streams, disk, processes, clock and entropy.
#include <doctest/doctest.h>

#include <array>
#include <csignal>
#include <string>

#include "async/combine.h"
#include "sim/simulation.h"

namespace perigee::sim {
namespace {

using async::Task;

Task<Result<std::string>> read_to_end(std::unique_ptr<sys::Stream> stream) {
  std::string all;
  std::array<char, 4096> buffer{};
  for (;;) {
    CO_TRY(const std::size_t n, co_await stream->read(buffer));
    if (n == 0) co_return all;
    all.append(buffer.data(), n);
  }
}

// Sends back what it gets, one connection at a time.
Task<void> echo(Node& node) {
  auto listener = node.host().network.listen(*sys::Address::parse("0.0.0.0:7"));
  REQUIRE(listener.has_value());
  for (;;) {
    auto stream = co_await (*listener)->accept();
    std::array<char, 1024> buffer{};
    for (;;) {
      auto n = co_await (*stream)->read(buffer);
      if (!n || *n == 0) break;
      if (!co_await (*stream)->write({buffer.data(), *n})) break;
    }
  }
}

Task<Result<std::unique_ptr<sys::Stream>>> dial(Node& node, std::string to, Duration within) {
  co_return co_await node.host().network.connect(*sys::Address::parse(to),
                                                 node.host().loop.deadline_in(within));
}

Task<Result<std::string>> ask_echo(Node& node, std::string text) {
  CO_TRY(auto stream, co_await dial(node, "10.77.0.2:7", 30s));
  CO_TRY_VOID(co_await stream->write(text));
  CO_TRY_VOID(stream->shutdown_write());
  co_return co_await read_to_end(std::move(stream));
}

struct Pair {
  explicit Pair(std::uint64_t seed) : simulation(seed) {}
  Simulation simulation;
  Node& a = simulation.add_node("a");
  Node& b = simulation.add_node("b");
};

Task<std::string> hear(Node& node, sys::Datagrams& socket) {
  std::string buffer(100, '\0');
  auto& loop = node.host().loop;
  const auto got =
      co_await async::with_deadline(loop, loop.deadline_in(1s), socket.receive(buffer), "datagram");
  if (!got) co_return "nothing";
  co_return fmt::format("{} from {}", buffer.substr(0, got->size), got->from);
}

TEST_CASE("a datagram comes to the socket that it is for, with its sender's address") {
  Pair pair(1);
  const auto open = [](Node& node, std::string_view at) {
    return node.host().network.open_datagrams(*sys::Address::parse(at), sys::Binding::present);
  };
  const auto any = open(pair.a, "0.0.0.0:0");
  const auto named = open(pair.b, "10.77.0.2:53");
  const auto behind = open(pair.b, "10.88.0.2:53");  // an address that b alone knows
  REQUIRE((any && named && behind));
  CHECK_FALSE(open(pair.b, "10.77.0.2:53").has_value());
  const std::string port = std::to_string((*any)->local().port());
  REQUIRE((*any)->send("to b", *sys::Address::parse("10.77.0.2:53")).has_value());
  CHECK(pair.simulation.run(hear(pair.b, **named)) == "to b from 10.77.0.1:" + port);
  REQUIRE((*named)->send("back", *sys::Address::parse("10.77.0.1:" + port)).has_value());
  CHECK(pair.simulation.run(hear(pair.a, **any)) == "back from 10.77.0.2:53");
  REQUIRE((*named)->send("inside", *sys::Address::parse("10.88.0.2:53")).has_value());
  CHECK(pair.simulation.run(hear(pair.b, **behind)) == "inside from 10.77.0.2:53");
  REQUIRE((*any)->send("to nobody", *sys::Address::parse("10.77.0.2:54")).has_value());
  pair.simulation.network().partition(0, 1);
  REQUIRE((*any)->send("cut", *sys::Address::parse("10.77.0.2:53")).has_value());
  CHECK(pair.simulation.run(hear(pair.b, **named)) == "nothing");
}

TEST_CASE("a stream carries bytes in order through loss, at the cost of time") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Pair pair(seed);
    pair.simulation.network().set_all_links({.delay = 5ms, .jitter = 5ms, .loss_per_mille = 100});
    pair.b.start(echo);
    std::string text;
    for (int i = 0; i < 40000; ++i) text += std::to_string(i);
    const auto answer = pair.simulation.run(ask_echo(pair.a, text));
    REQUIRE(answer.has_value());
    CHECK(*answer == text);
    CHECK(pair.simulation.now() > MonotonicTime{} + 20ms);
  }
}

TEST_CASE("nobody listening is refused, nobody there times out") {
  Pair pair(1);
  auto refused = pair.simulation.run(dial(pair.a, "10.77.0.2:9", 5s));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == Code::unavailable);
  pair.simulation.network().partition(0, 1);
  auto silent = pair.simulation.run(dial(pair.a, "10.77.0.2:9", 5s));
  REQUIRE_FALSE(silent.has_value());
  CHECK(silent.error().code == Code::deadline_exceeded);
  auto no_socket = pair.simulation.run(dial(pair.a, "unix:/run/x.sock", 5s));
  CHECK(no_socket.error().code == Code::not_found);
}

TEST_CASE("a killed process resets or ends its connections, a dead machine is silent") {
  for (const Crash kind : {Crash::process, Crash::power}) {
    Pair pair(5);
    pair.b.start(echo);
    auto stream = pair.simulation.run(dial(pair.a, "10.77.0.2:7", 5s));
    REQUIRE(stream.has_value());
    pair.simulation.run_for(10ms);
    pair.b.crash(kind);
    auto& loop = pair.simulation.loop();
    auto end =
        pair.simulation.run(async::until(loop, loop.now() + 2s, read_to_end(std::move(*stream))));
    if (kind == Crash::process) {
      REQUIRE(end.has_value());
      CHECK(end->has_value());  // the kernel closed it
    } else {
      CHECK_FALSE(end.has_value());  // nothing was heard
    }
  }
}

Task<Result<void>> write_on(std::unique_ptr<sys::Stream>* stream) {
  const std::string block(kMaxSegment, 'x');
  for (;;) CO_TRY_VOID(co_await (*stream)->write(block));
}

TEST_CASE("a writer whose peer is cut off is told so after the time-out") {
  Pair pair(9);
  pair.b.start(echo);
  auto stream = pair.simulation.run(dial(pair.a, "10.77.0.2:7", 5s));
  pair.simulation.network().partition(0, 1);
  const auto failed = pair.simulation.run(write_on(&*stream));
  REQUIRE_FALSE(failed.has_value());
  CHECK(failed.error().code == Code::deadline_exceeded);
  CHECK(pair.simulation.now() > MonotonicTime{} + kUnansweredTimeout);
}

TEST_CASE("a partition that heals in time only delays") {
  Pair pair(9);
  pair.b.start(echo);
  pair.simulation.network().partition(0, 1);
  pair.simulation.after(3s, [&pair] { pair.simulation.network().heal(0, 1); });
  CHECK(pair.simulation.run(ask_echo(pair.a, "hello")).value() == "hello");
  CHECK(pair.simulation.now() > MonotonicTime{} + 3s);
}

Task<void> keep(Node& node) {
  auto& disk = node.host().disk;
  CHECK((co_await disk.make_directories("/d/e", 0700)).has_value());
  CHECK((co_await disk.write_file("/d/e/synced", "1", 0600, sys::Durability::synced)).has_value());
  CHECK((co_await disk.write_file("/d/e/cached", "1", 0600, sys::Durability::cached)).has_value());
  CHECK((co_await disk.write_file("/d/e/synced", "2", 0600, sys::Durability::cached)).has_value());
}

TEST_CASE("a power loss may undo what was not synced, a kill does not") {
  std::set<std::string> seen;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Simulation simulation(seed);
    Node& node = simulation.add_node("n");
    node.start(keep);
    simulation.run_for(1s);
    node.crash(Crash::process);
    CHECK(node.disk().paths().size() == 5);
    CHECK(simulation.run(node.host().disk.read_file("/d/e/synced", 10)).value() == "2");
    node.crash(Crash::power);
    const auto synced = simulation.run(node.host().disk.read_file("/d/e/synced", 10));
    const auto cached = simulation.run(node.host().disk.read_file("/d/e/cached", 10));
    REQUIRE(synced.has_value());  // its first version was synced: never gone
    seen.insert("synced " + *synced);
    seen.insert("cached " + (cached ? *cached : "gone"));
  }
  CHECK(seen == std::set<std::string>{"cached ", "cached 1", "cached gone", "synced ", "synced 1",
                                      "synced 2"});
}

TEST_CASE("the disk behaves as the real one at its edges") {
  Simulation simulation(1);
  Node& node = simulation.add_node("n");
  auto& disk = node.disk();
  CHECK(simulation.run(disk.read_file("/none", 10)).error().code == Code::not_found);
  CHECK(
      simulation.run(disk.write_file("/no/dir", "x", 0600, sys::Durability::synced)).error().code ==
      Code::not_found);
  CHECK(simulation.run(disk.make_directories("/a/b", 0700)).has_value());
  CHECK(
      simulation.run(disk.write_file("/a/b/f", "xyz", 0600, sys::Durability::synced)).has_value());
  CHECK(simulation.run(disk.read_file("/a/b/f", 2)).error().code == Code::resource_exhausted);
  CHECK(simulation.run(disk.list("/a")).value() == std::vector<std::string>{"b"});
  disk.set_full(true);
  CHECK(
      simulation.run(disk.write_file("/a/b/g", "x", 0600, sys::Durability::cached)).error().code ==
      Code::resource_exhausted);
  CHECK(simulation.run(disk.remove_tree("/a")).has_value());
  CHECK(simulation.run(disk.exists("/a/b/f")).value() == false);
}

TEST_CASE("scripted programs run, end, are signalled and adopted") {
  Simulation simulation(1);
  Node& node = simulation.add_node("n");
  node.processes().script("mkfs", {.runs_for = 50ms, .ends = {}, .out = "made", .err = ""});
  node.processes().script("sleep", {.runs_for = 1000s});
  auto& processes = node.host().processes;
  auto& loop = simulation.loop();
  auto done = simulation.run(processes.run({.argv = {"mkfs"}}, "", loop.deadline_in(1s)));
  CHECK(done.value().out == "made");
  auto late = simulation.run(processes.run({.argv = {"sleep"}}, "", loop.deadline_in(1s)));
  CHECK(late.error().code == Code::deadline_exceeded);
  CHECK(processes.spawn({.argv = {"nope"}}).error().code == Code::not_found);
  auto process = processes.spawn({.argv = {"sleep"}});
  auto again = processes.adopt((*process)->pid());
  REQUIRE(again.has_value());
  CHECK((*again)->signal(SIGTERM).has_value());
  const sys::ExitStatus status = simulation.run((*process)->wait());
  CHECK(status == sys::ExitStatus{.kind = sys::ExitStatus::Kind::signaled, .value = SIGTERM});
}

TEST_CASE("clock and entropy come from the simulation") {
  Pair one(7);
  Pair two(7);
  CHECK(sys::random_hex(one.a.host().entropy, 8) == sys::random_hex(two.a.host().entropy, 8));
  CHECK(sys::random_hex(one.a.host().entropy, 8) != sys::random_hex(one.b.host().entropy, 8));
  one.b.set_clock_skew(-3s);
  one.simulation.run_for(90s);
  CHECK(to_rfc3339(one.a.host().clock.wall()) == "2026-03-01T00:01:30.000Z");
  CHECK(to_rfc3339(one.b.host().clock.wall()) == "2026-03-01T00:01:27.000Z");
}

}  // namespace
}  // namespace perigee::sim
