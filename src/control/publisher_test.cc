// When the feeds are brought up to date, on virtual time.
#include "control/publisher.h"

#include <doctest/doctest.h>

#include "async/task_group.h"
#include "control/limits.h"
#include "model/json.h"
#include "sim/simulation.h"
#include "store/memory_store.h"

namespace perigee::control {
namespace {

constexpr int kManyApps = 2000;

struct Publishing {
  Publishing() {
    REQUIRE(simulation.run(secrets::KeyFile::ensure(node.host(), "/keys.json")).has_value());
    keys = *simulation.run(secrets::KeyFile::open(node.host(), "/keys.json"));
    REQUIRE(simulation.run(desired.load()).has_value());
    publisher = std::make_unique<Publisher>(simulation.loop(), desired, observed, drains, *keys,
                                            changes, "epoch", "localhost");
    tasks.spawn(desired.follow());
    tasks.spawn(publisher->run());
  }

  // The first `count` apps get another release, which fails.
  void change_apps(int count) {
    ++version;
    store::Transaction transaction;
    for (int i = 0; i < count; ++i) {
      model::App app{.name = AppName(fmt::format("app-{}", i)), .id = "", .created_at = {}};
      app.last_release = version;
      ReleaseRecord record;
      record.release.app = app.name;
      record.release.version = version;
      record.release.status = model::ReleaseStatus::failed;
      transaction.put(app_key(app.name), model::to_json(app).dump());
      transaction.put(release_key(app.name, version), to_json(record).dump());
    }
    REQUIRE(simulation.run(desired.commit(std::move(transaction))).has_value());
    simulation.run_for(1ms);
  }
  bool shows_newest(int app) {
    const std::string* route = publisher->routes().find(fmt::format("/routes/app-{}", app));
    const std::string newest = fmt::format("release v{} failed", version);
    return route != nullptr && route->find(newest) != std::string::npos;
  }

  sim::Simulation simulation{1};
  sim::Node& node = simulation.add_node("control");
  store::MemoryStore store{simulation.loop()};
  Changes changes{simulation.loop()};
  DesiredTable desired{simulation.loop(), store, changes};
  ObservedTable observed{simulation.loop(), changes, kNodeLease};
  Drains drains{changes};
  std::unique_ptr<secrets::KeyFile> keys;
  std::unique_ptr<Publisher> publisher;
  async::TaskGroup tasks{simulation.loop()};
  int version = 0;
};

TEST_CASE_FIXTURE(Publishing, "a change is published at once, whatever there is") {
  change_apps(kManyApps);
  simulation.run_for(kMostPublishPause);
  change_apps(1);
  CHECK(shows_newest(0));
  change_apps(1);
  CHECK(shows_newest(0));
}

TEST_CASE_FIXTURE(Publishing, "after many changes at once the next ones are published together") {
  change_apps(kManyApps);
  CHECK(shows_newest(kManyApps - 1));
  change_apps(2);
  CHECK_FALSE(shows_newest(0));
  const std::int64_t before = publisher->routes().revision();
  change_apps(1);
  simulation.run_for(kPublishPause * kManyApps);
  CHECK(shows_newest(0));
  CHECK(publisher->routes().revision() == before + 2);
}

TEST_CASE_FIXTURE(Publishing, "who has to know the newest does not wait for that") {
  change_apps(kManyApps);
  change_apps(1);
  CHECK_FALSE(shows_newest(0));
  publisher->refresh();
  CHECK(shows_newest(0));
}

}  // namespace
}  // namespace perigee::control
