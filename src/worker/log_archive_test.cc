#include "worker/log_archive.h"

#include <doctest/doctest.h>

#include "sim/simulation.h"

namespace perigee::worker {
namespace {

ArchivedLog log(const std::string& machine, std::int64_t seconds, std::uint64_t bytes) {
  return {.app = AppName("web"),
          .machine = MachineId(machine),
          .ended_at = {seconds * 1'000'000'000},
          .bytes = bytes,
          .directory = {}};
}

std::string names(const std::vector<ArchivedLog>& logs) {
  std::string text;
  for (const ArchivedLog& each : logs) text += each.machine.str() + " ";
  return text;
}

TEST_CASE("logs go when they are too old, and the oldest when they are too much") {
  const LogRetention retention{.machine_bytes = 0, .keep = 100s, .destroyed_bytes = 50};
  const WallTime now{1000 * 1'000'000'000LL};
  const std::vector<ArchivedLog> logs{log("old", 899, 1), log("kept", 900, 10), log("b", 950, 40),
                                      log("newest", 999, 10)};
  CHECK(names(expired(logs, retention, now)) == "kept old ");
  CHECK(expired({log("huge", 999, 51)}, retention, now).size() == 1);
  CHECK(expired({}, retention, now).empty());
}

TEST_CASE("what a machine has written is there after it, once, until it is pruned") {
  sim::Simulation simulation(1);
  sim::Node& node = simulation.add_node("n1");
  sys::Disk& disk = node.disk();
  const auto write = [&](const std::string& path, const std::string& text) {
    REQUIRE(simulation.run(disk.make_directories("/vm", 0700)).has_value());
    REQUIRE(simulation.run(disk.write_file(path, text, 0600, sys::Durability::cached)).has_value());
  };
  LogArchive archive(disk, "/logs", {.machine_bytes = 0, .keep = 3600s, .destroyed_bytes = 1000});
  const AppName app("web");
  const WallTime now{5000 * 1'000'000'000LL};
  REQUIRE(simulation.run(archive.keep(app, MachineId("m1"), "/vm", now)).has_value());
  CHECK(simulation.run(archive.list(app))->empty());  // it had written nothing

  write("/vm/output.log", "new\n");
  write("/vm/output.1.log", "old\n");
  REQUIRE(simulation.run(archive.keep(app, MachineId("m1"), "/vm", now)).has_value());
  // Killed before the machine's directory was gone: it is done again.
  const WallTime later{now.ns + 1'000'000'000};
  REQUIRE(simulation.run(archive.keep(app, MachineId("m1"), "/vm", later)).has_value());
  auto logs = *simulation.run(archive.list(app));
  REQUIRE(logs.size() == 1);
  CHECK(logs[0].machine == MachineId("m1"));
  CHECK(logs[0].ended_at == later);
  CHECK(logs[0].bytes == 8);
  CHECK(*simulation.run(disk.read_file(logs[0].directory + "/output.log", 100)) == "new\n");
  CHECK(*simulation.run(disk.read_file(logs[0].directory + "/output.1.log", 100)) == "old\n");

  REQUIRE(simulation.run(archive.prune(later)).has_value());
  CHECK(simulation.run(archive.list(app))->size() == 1);
  REQUIRE(simulation.run(archive.prune({later.ns + 3601 * 1'000'000'000LL})).has_value());
  CHECK(simulation.run(archive.list(app))->empty());
}

}  // namespace
}  // namespace perigee::worker
