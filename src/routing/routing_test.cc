// The choice as a table, and the host look-up.
#include <doctest/doctest.h>

#include <cstdlib>
#include <vector>

#include "routing/choose.h"
#include "routing/route_table.h"
#include "routing/wish.h"

namespace perigee::routing {
namespace {

using State = model::MachineState;

struct Machine {
  State state = State::started;
  bool listening = true;
  int in_flight = 0;
  bool refused = false;
  model::Readiness readiness = model::Readiness::unchecked;
  bool wakeable = false;
  Duration rtt{};
  bool reachable = true;
  bool leaving = false;
  bool home = false;
  int wish = 0;
};

struct Row {
  const char* what;
  std::vector<Machine> machines;
  Policy policy;
  std::uint64_t tie_breaker;
  Outcome outcome;
  std::optional<std::size_t> index;
};

Decision decide(const Row& row) {
  std::vector<model::RouteTarget> targets(row.machines.size());
  std::vector<Candidate> candidates;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    targets[i].state = row.machines[i].state;
    targets[i].listening = row.machines[i].listening;
    targets[i].readiness = row.machines[i].readiness;
    targets[i].address = "10.0.0.1";
    targets[i].wakeable = row.machines[i].wakeable;
    candidates.push_back({.target = &targets[i],
                          .in_flight = row.machines[i].in_flight,
                          .refused = row.machines[i].refused,
                          .rtt = row.machines[i].rtt,
                          .reachable = row.machines[i].reachable,
                          .leaving = row.machines[i].leaving,
                          .home = row.machines[i].home,
                          .wish = row.machines[i].wish});
  }
  return choose(candidates, row.policy, row.tie_breaker);
}

void check(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const Decision decision = decide(row);
    CHECK(decision.outcome == row.outcome);
    CHECK(decision.index == row.index);
    CHECK_FALSE(describe(decision.outcome).empty());
  }
}

TEST_CASE("which machine is chosen, and the reason where none is") {
  const Policy none{};
  const Policy limits{.soft_limit = 2, .hard_limit = 4};
  const Machine up{};
  const Machine fresh{.listening = false};
  const Machine stopped{.state = State::stopped};
  const Machine starting{.state = State::starting, .listening = false};
  const Machine restarting{.state = State::restarting};
  const Machine refused{.refused = true};
  const Machine pending{.readiness = model::Readiness::pending};
  const Machine failing{.readiness = model::Readiness::failing};
  const Machine ready{.readiness = model::Readiness::ready};
  const auto busy = [](int n) { return Machine{.in_flight = n}; };
  const std::vector<Row> rows{
      {"nothing there", {}, none, 0, Outcome::no_machines, {}},
      {"one that listens", {up}, none, 7, Outcome::chosen, 0},
      {"one that is stopped", {stopped}, none, 0, Outcome::none_started, {}},
      {"the started one", {stopped, up}, none, 0, Outcome::chosen, 1},
      {"one that starts", {stopped, starting}, none, 0, Outcome::wait, {}},
      {"one that restarts", {restarting}, none, 0, Outcome::wait, {}},
      {"listening before just started", {fresh, busy(9)}, none, 0, Outcome::chosen, 1},
      {"just started, nothing better", {stopped, fresh}, none, 0, Outcome::chosen, 1},
      {"fewest in flight", {busy(3), busy(1), busy(2)}, none, 0, Outcome::chosen, 1},
      {"tie, first turn", {up, busy(1), up}, none, 0, Outcome::chosen, 0},
      {"tie, second turn", {up, busy(1), up}, none, 1, Outcome::chosen, 2},
      {"tie, round again", {up, busy(1), up}, none, 2, Outcome::chosen, 0},
      {"one that refused", {refused, busy(5)}, none, 0, Outcome::chosen, 1},
      {"all refused", {refused, stopped}, none, 0, Outcome::wait, {}},
      {"the one that passes its checks", {failing, pending, ready}, none, 0, Outcome::chosen, 2},
      {"one whose checks are to come", {failing, pending}, none, 0, Outcome::wait, {}},
      {"none that passes its checks", {failing, stopped}, none, 0, Outcome::none_healthy, {}},
      {"below soft first", {busy(2), busy(1)}, limits, 0, Outcome::chosen, 1},
      {"between soft and hard", {busy(3), busy(4)}, limits, 0, Outcome::chosen, 0},
      {"all at hard", {busy(4), busy(5), stopped}, limits, 0, Outcome::all_at_limit, {}},
      {"at hard, another starts", {busy(4), starting}, limits, 0, Outcome::wait, {}},
      {"hard without soft", {busy(1)}, {.hard_limit = 1}, 0, Outcome::all_at_limit, {}},
      {"a listening one over soft before a fresh one",
       {fresh, busy(3)},
       limits,
       0,
       Outcome::chosen,
       1},
  };
  check(rows);
}

TEST_CASE("of machines in several cities the nearest that has room, as the policy has it") {
  const Policy none{};
  const Policy limits{.soft_limit = 2, .hard_limit = 4};
  const Policy balanced{.soft_limit = 2, .hard_limit = 4, .balancing = model::Balancing::balanced};
  const Machine leaving{.leaving = true};
  const Machine stopped{.state = State::stopped};
  const Machine cut_off{.reachable = false};
  const auto wishes = [](Duration rtt, int wish) { return Machine{.rtt = rtt, .wish = wish}; };
  const auto far = [](Duration rtt, int n = 0) { return Machine{.in_flight = n, .rtt = rtt}; };
  check({
      {"the nearest, though it has more", {far(80ms), far(9ms, 1)}, limits, 0, Outcome::chosen, 1},
      {"the nearer, up to its hard limit", {far(80ms), far(9ms, 3)}, limits, 0, Outcome::chosen, 1},
      {"the farther, the nearer being full",
       {far(80ms), far(9ms, 4)},
       limits,
       0,
       Outcome::chosen,
       0},
      {"balanced: the farther, below its soft limit",
       {far(80ms), far(9ms, 2)},
       balanced,
       0,
       Outcome::chosen,
       0},
      {"balanced: all over soft, so the nearer",
       {far(80ms, 2), far(9ms, 3)},
       balanced,
       0,
       Outcome::chosen,
       1},
      {"a node that stays", {leaving, far(80ms)}, limits, 0, Outcome::chosen, 1},
      {"a node that is left, the other being full",
       {leaving, far(80ms, 4)},
       limits,
       0,
       Outcome::chosen,
       0},
      {"what the request prefers, though far",
       {wishes(0ms, 1), wishes(80ms, 0)},
       none,
       0,
       Outcome::chosen,
       1},
      {"not what it excludes", {wishes(0ms, kNotWished)}, none, 0, Outcome::none_wished, {}},
      {"as near, so the fewest", {far(8ms, 1), far(9ms)}, limits, 0, Outcome::chosen, 1},
      {"one that can be reached", {cut_off, far(200ms)}, none, 0, Outcome::chosen, 1},
      {"none that can be reached", {cut_off, stopped}, none, 0, Outcome::none_reachable, {}},
  });
}

TEST_CASE("a resting machine is woken when none runs or all that run are busy, once") {
  const Machine up{};
  const Machine stopped{.state = State::stopped};
  const Machine starting{.state = State::starting, .listening = false};
  const Machine fresh{.listening = false};
  const Machine pending{.readiness = model::Readiness::pending};
  const Machine failing{.readiness = model::Readiness::failing};
  const Machine resting{.state = State::suspended, .wakeable = true};
  const Machine leaving{.state = State::stopping, .wakeable = true};
  const auto busy = [](int n) { return Machine{.in_flight = n}; };
  const auto far = [](Duration rtt, bool home = false) {
    return Machine{.rtt = rtt, .home = home};
  };
  const Machine near{.state = State::stopped, .wakeable = true, .home = true};
  const Machine unwished{
      .state = State::stopped, .wakeable = true, .home = true, .wish = kNotWished};
  struct WakeRow {
    const char* what;
    std::vector<Machine> machines;
    Outcome outcome;
    bool wake;
    bool coming;
  };
  const std::vector<WakeRow> rows{
      {"all rest", {resting, stopped}, Outcome::wait, true, false},
      {"one is on its way to rest", {leaving}, Outcome::wait, true, false},
      {"one runs", {up, resting}, Outcome::chosen, false, false},
      {"the one that runs is busy", {busy(2), resting}, Outcome::chosen, true, false},
      {"one of two is busy", {busy(2), busy(1), resting}, Outcome::chosen, false, false},
      {"busy, and one starts already", {busy(3), starting, resting}, Outcome::chosen, false, true},
      {"all at the hard limit", {busy(4), resting}, Outcome::wait, true, false},
      {"one starts already", {starting, resting}, Outcome::wait, false, true},
      {"busy, and nothing to wake", {busy(3), stopped}, Outcome::chosen, false, false},
      {"started, does not listen yet", {fresh}, Outcome::chosen, false, true},
      {"one whose checks are to come", {pending, resting}, Outcome::wait, false, true},
      {"none that runs passes its checks", {failing, resting}, Outcome::wait, true, false},
      {"a far one serves while one starts at home",
       {far(80ms), near},
       Outcome::chosen,
       true,
       false},
      {"one starts at home already", {far(80ms), near, starting}, Outcome::chosen, false, true},
      {"one that runs is near enough", {far(kFar), near}, Outcome::chosen, false, false},
      {"one runs at home", {far(30ms, true), near}, Outcome::chosen, false, false},
      {"the one at home is not wished", {far(80ms), unwished}, Outcome::chosen, false, false},
      {"one rests as far away", {far(80ms), resting}, Outcome::chosen, false, false},
      {"a stopped one may not be woken", {stopped}, Outcome::none_started, false, false},
  };
  for (const WakeRow& row : rows) {
    CAPTURE(row.what);
    const Decision decision =
        decide({row.what, row.machines, {.soft_limit = 2, .hard_limit = 4}, 0, Outcome::wait, {}});
    CHECK(decision.outcome == row.outcome);
    CHECK(decision.wake == row.wake);
    CHECK(decision.coming == row.coming);
  }
}

TEST_CASE("one set aside, or full as its node says, is passed over and told") {
  model::RouteTarget target;
  target.state = State::started;
  target.listening = true;
  target.address = "10.0.0.1";
  std::vector<Candidate> two{{.target = &target, .aside = 1500ms}, {.target = &target}};
  const Decision one = choose(two, {}, 0);
  CHECK(one.index == 1);
  CHECK(why(two, {}, one, 0) == "set aside after failures in a row, for 1.5 s more");
  two[1].full = true;
  CHECK(choose(two, {}, 0).outcome == Outcome::all_at_limit);
  two[1].full = false;
  two[1].refused = true;
  CHECK(choose(two, {}, 0).outcome == Outcome::wait);
}

TEST_CASE("keys have machines, evenly, and keep theirs when another one goes") {
  std::vector<model::RouteTarget> targets(5);
  for (std::size_t i = 0; i < targets.size(); ++i) {
    targets[i].machine = MachineId(fmt::format("{:014x}", i * 7919));
  }
  const auto machine_for = [&](const std::string& key, std::size_t count) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < count; ++i) {
      if (fit({.key = key}, targets[i]) < fit({.key = key}, targets[best])) best = i;
    }
    return best;
  };
  std::vector<int> keys(targets.size());
  for (int i = 0; i < 5000; ++i) {
    const std::string key = fmt::format("user {}", i);
    const std::size_t machine = machine_for(key, 5);
    ++keys[machine];
    if (machine != 4) CHECK(machine_for(key, 4) == machine);
  }
  for (const int count : keys) CHECK(std::abs(count - 1000) < 150);
}

TEST_CASE("a started machine without an address can't be chosen") {
  model::RouteTarget target;
  target.state = State::started;
  target.listening = true;
  const std::vector<Candidate> one{{.target = &target}};
  CHECK(choose(one, {}, 0).outcome == Outcome::none_started);
}

TEST_CASE("hosts are found without case, port and final dot") {
  auto hello = std::make_shared<model::AppRoute>();
  hello->app = AppName("hello");
  hello->hosts = {"hello.localhost", "Www.Example.com"};
  auto thief = std::make_shared<model::AppRoute>();
  thief->app = AppName("thief");
  thief->hosts = {"hello.localhost"};
  RouteTable table;
  table.set_app(thief);
  table.set_app(hello);
  CHECK(table.find_host(normal_host("HELLO.localhost:8080")) == hello);
  CHECK(table.find_host(normal_host("www.example.com.")) == hello);
  CHECK(table.find_host(normal_host("other.localhost")) == nullptr);
  CHECK(table.find_host("") == nullptr);
  CHECK(table.find_app("thief") == thief);
  CHECK(normal_host("[::1]:80") == "[::1]");
  CHECK(normal_host("[::1]") == "[::1]");
}

}  // namespace
}  // namespace perigee::routing
