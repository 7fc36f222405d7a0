// Nodes that vanish and come back at random, on virtual time: ScaleReconciler against workers that
// do what the store says while they are in touch, and run on with what they knew while they are
// not. When all is healed, each region has what it is to have, no machine has a double, and volumes
// never moved. Reproducible by seed.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "async/task_group.h"
#include "control/scale_reconciler.h"
#include "sim/simulation.h"
#include "store/memory_store.h"

namespace perigee::control {
namespace {

using model::DesiredState;
using model::MachineState;

constexpr Duration kReportInterval = 5s;
constexpr Duration kCalm = 15min;  // longer than where most nodes were silent

class NoImages : public Images {
 public:
  async::Task<Result<model::ImageRef>> resolve(std::string, image::Login) override {
    co_return model::ImageRef{};
  }
  async::Task<Result<bool>> has_blob(std::string) override { co_return false; }
  async::Task<Result<std::vector<std::string>>> missing_blobs(std::string) override {
    co_return std::vector<std::string>();
  }
  async::Task<Result<void>> put_blob(std::string, http::Body&) override {
    co_return Result<void>();
  }
  async::Task<Result<std::unique_ptr<http::Body>>> open_blob(std::string) override {
    co_return fail(Code::not_found, "no blobs here");
  }
};

// A server: what runs on it, whatever control knows of that.
struct Server {
  model::NodeReport report;
  bool in_touch = true;
  std::map<MachineId, model::Machine> runs;
};

class World {
 public:
  explicit World(std::uint64_t seed) : simulation_(seed), node_(simulation_.add_node("control")) {
    simulation_.run(secrets::KeyFile::ensure(host(), "/keys.json"));
    keys_ = *simulation_.run(secrets::KeyFile::open(host(), "/keys.json"));
    certificates_ = *simulation_.run(Certificates::open(host(), *keys_, "/ca.pem", "/ca.key"));
    REQUIRE(simulation_.run(desired_.load()).has_value());
    publisher_ = std::make_unique<Publisher>(loop(), desired_, observed_, drains_, *keys_, changes_,
                                             "epoch", "localhost");
    sharing_ =
        std::make_unique<RouteSharing>(peers_, desired_, drains_, *publisher_, changes_.notify());
    key_sharing_ = std::make_unique<KeySharing>(peers_, *keys_, *certificates_);
    context_ = std::make_unique<Context>(Context{host(),
                                                 desired_,
                                                 observed_,
                                                 changes_.notify(),
                                                 *publisher_,
                                                 *sharing_,
                                                 images_,
                                                 worker_,
                                                 routers_,
                                                 *certificates_,
                                                 *keys_,
                                                 *key_sharing_,
                                                 loads_,
                                                 drains_,
                                                 refusals_,
                                                 60s,
                                                 {},
                                                 {}});
    reconciler_ = std::make_unique<ScaleReconciler>(*context_);
    tasks_.spawn(desired_.follow());
    tasks_.spawn(observed_.expire());
    tasks_.spawn(publisher_->run());
    tasks_.spawn(work(*this));
    tasks_.spawn(reconciler_->run());
  }

  void add_server(const std::string& name, const std::string& region) {
    Server& server = servers_[NodeId(name)];
    server.report.node = NodeId(name);
    server.report.region = RegionCode(region);
    server.report.memory_mib = 4096;
    server.report.cpus = 2;
    server.report.disk_free_mib = 10'000;
    store::Transaction transaction;
    NodeRecord record;
    record.region = server.report.region;
    transaction.put(node_key(server.report.node), to_json(record).dump());
    commit(std::move(transaction));
  }
  // An app whose release has been deployed, without machines yet.
  void add_app(const std::string& name, model::Scale scale, bool volumes = false) {
    model::App app{.name = AppName(name), .id = name, .created_at = {}};
    app.current_release = app.last_release = 1;
    app.scale = std::move(scale);
    ReleaseRecord record;
    record.release.app = app.name;
    record.release.version = 1;
    record.release.status = model::ReleaseStatus::succeeded;
    if (volumes) record.release.config.mounts = {{.volume = {}, .name = "data", .path = "/data"}};
    store::Transaction transaction;
    put(transaction, app, 0);
    put(transaction, record, 0);
    commit(std::move(transaction));
  }
  void set_scale(const std::string& name, const std::function<void(model::Scale&)>& change) {
    Stored<model::App> app = *desired_.app(AppName(name));
    change(app.value.scale);
    store::Transaction transaction;
    put(transaction, app.value, app.revision);
    commit(std::move(transaction));
  }
  void drain(const NodeId& node, bool draining) {
    NodeRecord record = desired_.nodes().at(node).value;
    record.draining = record.cordoned = draining;
    store::Transaction transaction;
    transaction.put(node_key(node), to_json(record).dump());
    commit(std::move(transaction));
  }

  std::string counts(const std::string& app) {
    std::map<RegionCode, int> counts;
    for (const auto& [id, stored] : desired_.machines()) {
      if (stored.value.app.str() == app) ++counts[stored.value.region];
    }
    std::string out;
    for (const auto& [region, count] : counts)
      out += fmt::format("{}{} {}", out.empty() ? "" : ", ", region, count);
    return out;
  }
  std::map<MachineId, NodeId> places(const std::string& app) {
    std::map<MachineId, NodeId> out;
    for (const auto& [id, stored] : desired_.machines()) {
      if (stored.value.app.str() == app) out[id] = stored.value.node;
    }
    return out;
  }
  // Once all is healed: every server runs what is wanted of it, and nothing else.
  std::string difference() {
    std::map<MachineId, int> running;
    for (const auto& [id, server] : servers_) {
      for (const auto& [machine, value] : server.runs) ++running[machine];
    }
    for (const auto& [id, count] : running) {
      if (count > 1) return fmt::format("machine {} runs {} times", id, count);
      if (!desired_.machines().contains(id)) return fmt::format("machine {} is unknown", id);
    }
    for (const auto& [id, stored] : desired_.machines()) {
      if (!running.contains(id)) return fmt::format("machine {} does not run", id);
      if (stored.value.desired == DesiredState::destroyed)
        return fmt::format("machine {} is still to go", id);
    }
    return {};
  }

  sim::Simulation& simulation() { return simulation_; }
  std::map<NodeId, Server>& servers() { return servers_; }

 private:
  sys::Host& host() { return node_.host(); }
  async::Loop& loop() { return host().loop; }
  void commit(store::Transaction transaction) {
    REQUIRE(simulation_.run(desired_.commit(std::move(transaction))).has_value());
  }

  // The worker of a server that is in touch: follows its feed, reports.
  void act(Server& server) {
    model::NodeReport report = server.report;
    std::erase_if(server.runs,
                  [&](const auto& each) { return !desired_.machines().contains(each.first); });
    for (const auto& [id, stored] : desired_.machines()) {
      if (stored.value.node != server.report.node) continue;
      const bool goes = stored.value.desired == DesiredState::destroyed;
      if (goes) server.runs.erase(id);
      if (!goes) server.runs[id] = stored.value;
      model::MachineStatus status;
      status.id = id;
      status.instance_id = stored.value.instance_id;
      status.acted_sequence = stored.value.desired_sequence;
      status.state = goes ? MachineState::destroyed : MachineState::started;
      status.listening = !goes;
      report.machines.push_back(std::move(status));
    }
    observed_.report(std::move(report));
  }
  static async::Task<void> work(World& world) {
    for (;;) {
      for (auto& [id, server] : world.servers_) {
        if (server.in_touch) world.act(server);
      }
      co_await world.forget();
      co_await world.loop().sleep(kReportInterval);
    }
  }
  // As Housekeeping does.
  async::Task<void> forget() {
    store::Transaction transaction;
    for (const auto& [id, stored] : desired_.machines()) {
      const model::MachineStatus* status = observed_.status(id);
      if (stored.value.desired == DesiredState::destroyed && status != nullptr &&
          status->state == MachineState::destroyed)
        transaction.remove(machine_key(id));
    }
    if (transaction.changes.empty()) co_return;
    [[maybe_unused]] const auto done = co_await desired_.commit(std::move(transaction));
  }

  sim::Simulation simulation_;
  sim::Node& node_;
  std::map<NodeId, Server> servers_;
  Changes changes_{loop()};
  store::MemoryStore store_{loop()};
  DesiredTable desired_{loop(), store_, changes_};
  ObservedTable observed_{loop(), changes_, kNodeLease};
  LoadTable loads_{loop(), 60s};
  Drains drains_{changes_};
  WakeRefusals refusals_;
  NoImages images_;
  WorkerLink worker_{host(), {NodeId("n1"), "/worker.sock", {}}};
  RouterLink routers_{host(), {NodeId("n1"), "/router.sock", {}}};
  std::unique_ptr<secrets::KeyFile> keys_;
  std::unique_ptr<Certificates> certificates_;
  ControlPeers peers_{host(), desired_, NodeId("n1"), ""};
  std::unique_ptr<Publisher> publisher_;
  std::unique_ptr<RouteSharing> sharing_;
  std::unique_ptr<KeySharing> key_sharing_;
  std::unique_ptr<Context> context_;
  std::unique_ptr<ScaleReconciler> reconciler_;
  async::TaskGroup tasks_{loop()};
};

model::Scale in_regions(const std::vector<std::string>& codes, std::optional<int> count = {}) {
  model::Scale scale;
  for (const std::string& code : codes) scale.regions.emplace_back(code);
  scale.count = count;
  return scale;
}

// One of the servers, at random, is cut off, comes back, drains or is used again.
void disturb(World& world) {
  Random& random = world.simulation().random();
  auto at = world.servers().begin();
  std::advance(at, random.below(world.servers().size()));
  switch (random.below(6)) {
    case 0:
      return world.drain(at->first, true);
    case 1:
      return world.drain(at->first, false);
    case 2:
    case 3:
      at->second.in_touch = false;
      return;
    default:
      at->second.in_touch = true;
  }
}

void heal(World& world) {
  for (auto& [id, server] : world.servers()) {
    server.in_touch = true;
    world.drain(id, false);
  }
  world.simulation().run_for(kCalm);
}

TEST_CASE("whatever nodes vanish and return, each region has what it is to have afterwards") {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    CAPTURE(seed);
    World world(seed);
    for (const char* region : {"fra", "iad", "syd"}) {
      world.add_server(fmt::format("{}-1", region), region);
      world.add_server(fmt::format("{}-2", region), region);
    }
    model::Scale all;
    all.all_regions = true;
    world.add_app("everywhere", all);
    world.add_app("seven", in_regions({"fra", "iad", "syd"}, 7));
    world.add_app("two", in_regions({"fra", "iad"}));
    world.add_app("base", in_regions({"syd"}, 2), true);
    world.simulation().run_for(30s);
    const auto volumes = world.places("base");
    REQUIRE(volumes.size() == 2);
    for (int i = 0; i < 40; ++i) {
      disturb(world);
      world.simulation().run_for(world.simulation().random().between(1s, 120s));
      CHECK(world.places("base") == volumes);
    }
    heal(world);
    CHECK(world.difference().empty());
    CHECK(world.counts("everywhere") == "fra 1, iad 1, syd 1");
    const std::string seven = world.counts("seven");
    CHECK((seven == "fra 3, iad 2, syd 2" || seven == "fra 2, iad 3, syd 2" ||
           seven == "fra 2, iad 2, syd 3"));
    CHECK(world.counts("two") == "fra 1, iad 1");
    CHECK(world.places("base") == volumes);
  }
}

TEST_CASE("an app without regions or count keeps as many machines as it had") {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    CAPTURE(seed);
    World world(seed);
    for (const char* name : {"a-1", "b-1", "c-1", "d-1"}) world.add_server(name, "iad");
    model::Scale three;
    three.count = 3;
    world.add_app("free", three);
    world.simulation().run_for(30s);
    world.set_scale("free", [](model::Scale& scale) { scale = {}; });
    for (int i = 0; i < 40; ++i) {
      disturb(world);
      world.simulation().run_for(world.simulation().random().between(1s, 120s));
    }
    heal(world);
    CHECK(world.difference().empty());
    CHECK(world.counts("free") == "iad 3");
  }
}

}  // namespace
}  // namespace perigee::control
