// A small fleet by the same courses and measures as the program `perigee-fleet-sim` has for larger
// ones; here with the sanitizers, and parts alone.
#include <doctest/doctest.h>

#include "base/log.h"
#include "fleet_sim/census.h"
#include "fleet_sim/course.h"
#include "fleet_sim/growth.h"
#include "fleet_sim/reports.h"

namespace perigee::fleet_sim {
namespace {

constexpr Size kSmall{.nodes = 20, .cities = 5, .machines = 1000};

TEST_CASE("after partitions and crashes every route leads to a machine, and none runs twice") {
  set_log_level(LogLevel::error);
  const Outcome outcome = run_course(kSmall, 3, 2);
  for (const std::string& wrong : outcome.wrong) FAIL_CHECK(wrong);
  CHECK(outcome.machines_made > 0);
}

TEST_CASE("a machine that comes to a second node is noted, though it leaves the first one") {
  Census census;
  const MachineId machine("m");
  census.comes(machine, 1);
  census.goes(machine, 1);
  census.comes(machine, 2);
  CHECK(census.doubles().empty());
  census.comes(machine, 2);
  CHECK(census.doubles().empty());
  census.comes(machine, 1);
  census.goes(machine, 2);
  CHECK(census.doubles() == std::vector<std::string>{"machine m is on n0002 and on n0001"});
  CHECK(census.size() == 1);
}

TEST_CASE("of a node's reports the newest counts") {
  Reports reports(2);
  model::NodeReport report;
  report.cpus = 1;
  const std::string first = reports.post(1, report);
  CHECK(reports.find(first)->cpus == 1);
  report.cpus = 2;
  const std::string second = reports.post(1, report);
  CHECK(reports.find(first) == nullptr);
  CHECK(reports.find(second)->cpus == 2);
}

TEST_CASE("what costs more than it may is named") {
  Cost small{.size = {.nodes = 10, .cities = 2, .machines = 1000}, .routes_bytes = 100};
  Cost large{.size = {.nodes = 100, .cities = 20, .machines = 10'000}, .routes_bytes = 101};
  small.snapshot_bytes = 1000;
  large.snapshot_bytes = 10'000;
  CHECK(excesses(small, large).empty());
  large.routes_bytes = 1000;
  CHECK(excesses(small, large).size() == 1);
  large.snapshot_bytes = 100'000;
  CHECK(excesses(small, large).size() == 2);
}

}  // namespace
}  // namespace perigee::fleet_sim
