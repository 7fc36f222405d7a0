#include "fleet_sim/course.h"

#include <algorithm>

#include "fleet_sim/fleet.h"

namespace perigee::fleet_sim {
namespace {

constexpr int kDisturbances = 12;
constexpr Duration kSettled = 20s;    // from the start of all until everybody has reported
constexpr Duration kLongest = 10s;    // from one disturbance to the next, but for
constexpr Duration kGivenUp = 75s;    // one time: long enough for lost nodes to be replaced
constexpr int kCrashesPerMille = 30;  // of the nodes, at once

class Course {
 public:
  Course(const Size& size, std::uint64_t seed, int routers) : fleet_(size, seed, routers) {}

  Outcome run() {
    fleet_.run_for(kSettled);
    expect("before anything happened", fleet_.differences());
    const int long_one = below(kDisturbances);
    for (int i = 0; i < kDisturbances; ++i) {
      if (i == long_one) {
        lose_some();
        fleet_.run_for(kGivenUp);
      } else {
        disturb();
        fleet_.run_for(random().between(100ms, kLongest));
      }
      expect("in the course", fleet_.lost_routes());
    }
    fleet_.heal();
    fleet_.run_for(kRoutesBound);
    expect("soon after all was healed", fleet_.dead_routes());
    fleet_.run_for(kCalmBound);
    expect("in the end", fleet_.dead_routes());
    expect("in the end", fleet_.differences());
    expect("at some time", fleet_.doubles());
    return {std::move(wrong_), fleet_.machines_made()};
  }

 private:
  Random& random() { return fleet_.random(); }
  void expect(std::string_view when, const std::vector<std::string>& found) {
    for (const std::string& each : found) wrong_.push_back(fmt::format("{}: {}", when, each));
  }
  int below(int bound) {
    return static_cast<int>(random().below(static_cast<std::uint64_t>(bound)));
  }

  template <typename F>
  void each_node(int step, F action, int first = 0) {
    for (int node = first; node < fleet_.size().nodes; node += step) action(node);
  }
  template <typename F>
  void each_in_city(F action) {
    const int cities = fleet_.size().cities;
    each_node(cities, action, below(cities));
  }
  template <typename F>
  void some(F action) {
    const int count = std::max(1, fleet_.size().nodes * kCrashesPerMille / 1000);
    for (int i = 0; i < count; ++i) action(below(fleet_.size().nodes));
  }

  void cut_half() {
    each_node(2, [this](int node) { fleet_.cut(node); });
  }
  void cut_city() {
    each_in_city([this](int node) { fleet_.cut(node); });
  }
  void lose_power() {
    some([this](int node) { fleet_.crash(node, sim::Crash::power); });
  }

  // What a running control is to replace: where more than half is silent it would wait.
  void lose_some() {
    constexpr int kOneInSoMany = 8;
    fleet_.heal();
    // Control may have just started: of a node that it has never heard it does not know since when.
    fleet_.run_for(kSettled);
    if (below(kOneInSoMany) == 0) return cut_half();
    cut_city();
    lose_power();
  }

  void disturb() {
    constexpr int kKinds = 9;
    switch (below(kKinds)) {
      case 0:
      case 1:
        return cut_city();
      case 2:  // the network falls in two
        return cut_half();
      case 3:
        return each_node(1, [this](int node) { fleet_.mend(node); });
      case 4:
        return lose_power();
      case 5:
        return some([this](int node) { fleet_.crash(node, sim::Crash::process); });
      case 6:
        return each_node(1, [this](int node) { fleet_.restart(node); });
      case 7:
        return fleet_.crash_control();
      default:
        return fleet_.restart_control();
    }
  }

  Fleet fleet_;
  std::vector<std::string> wrong_;
};

}  // namespace

Outcome run_course(const Size& size, std::uint64_t seed, int routers) {
  return Course(size, seed, routers).run();
}

}  // namespace perigee::fleet_sim
