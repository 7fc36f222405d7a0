#include "worker/name_book.h"

#include <doctest/doctest.h>

#include "sim/simulation.h"
#include "worker/worker_fixture.h"

namespace perigee::worker {
namespace {

model::AppNames names(const std::string& app, const std::string& address) {
  return {.app = AppName(app), .machines = {{MachineId("m1"), RegionCode("fra"), address}}};
}

struct Fixture {
  sim::Simulation simulation{1};
  sim::Node& node = simulation.add_node("n");
  Fixture() { REQUIRE(simulation.run(node.disk().make_directories("/state", 0700)).has_value()); }
  void run_for(Duration duration) { simulation.run_for(duration); }
  std::unique_ptr<NameBook> open() {
    auto book = std::make_unique<NameBook>(node.host(), "/state/names.json");
    simulation.run(book->load());
    return book;
  }
};

TEST_CASE_FIXTURE(Fixture, "names outlive the worker; those of apps that left are forgotten") {
  {
    const auto book = open();
    CHECK(book->find(AppName("web")) == nullptr);
    async::TaskGroup group(node.host().loop);
    group.spawn(NameBook::run(*book));
    book->set(names("web", "fd00::1"));
    book->set(names("db", "fd00::2"));
    book->set(names("old", "fd00::3"));
    run_for(1s);
    book->set(names("web", "fd00::4"));
    book->remove(AppName("old"));
    run_for(1s);
  }
  const auto again = open();
  REQUIRE(again->find(AppName("web")) != nullptr);
  CHECK(*again->find(AppName("web")) == names("web", "fd00::4"));
  CHECK(again->find(AppName("old")) == nullptr);
  again->keep_only({AppName("db")});
  CHECK(again->find(AppName("web")) == nullptr);
  CHECK(again->find(AppName("db")) != nullptr);
}

TEST_CASE_FIXTURE(Fixture, "a file that can't be read counts for nothing") {
  REQUIRE(simulation
              .run(node.disk().write_file("/state/names.json", "[{\"app\":", 0600,
                                          sys::Durability::synced))
              .has_value());
  CHECK(open()->find(AppName("web")) == nullptr);
}

TEST_CASE("a machine is told its own app's names, and by its policy whether there are others") {
  const MachineId id("m1");
  Bench bench(1);
  bench.start();
  model::Machine machine = Bench::machine("m1");
  bench.control.want(machine);
  REQUIRE(bench.until(id, model::MachineState::started));
  const auto client = bench.worker->name_client("10.201.0.2");
  REQUIRE(client.has_value());
  CHECK(client->view.app == machine.app.str());
  CHECK(client->outside);
  CHECK_FALSE(client->known);  // control has told none yet
  CHECK_FALSE(bench.worker->name_client("10.201.0.3").has_value());

  bench.control.tell(names(machine.app.str(), "fd00::1"));
  machine.egress.kind = model::EgressKind::closed;
  bench.control.want(machine);
  bench.run_for(1s);
  const auto told = bench.worker->name_client("10.201.0.2");
  CHECK(told->known);
  CHECK_FALSE(told->outside);
  CHECK(told->view.hosts == std::vector<dns::NamedHost>{{"m1", "fra", "fd00::1"}});
}

}  // namespace
}  // namespace perigee::worker
