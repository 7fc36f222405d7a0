// The fakes of worker_fixture.h.
#include "worker/worker_fixture.h"
#include "async/combine.h"
#include "base/text.h"
#include "model/json.h"
#include "model/machine_state.h"

namespace perigee::worker {

using model::MachineState;

// ---- control ----

void FakeControl::want(model::Machine machine) {
  wanted_[machine.id] = machine;
  const MachineId id = machine.id;
  journal_.emplace_back(id, std::move(machine));
  changed_.raise();
}

void FakeControl::forget(const MachineId& id) {
  wanted_.erase(id);
  journal_.emplace_back(id, std::nullopt);
  changed_.raise();
}

void FakeControl::want(model::Volume volume) {
  const VolumeId id = volume.id;
  volumes_[id] = std::move(volume);
  changed_.raise();
}

const model::VolumeStatus* FakeControl::status(const VolumeId& id) const {
  if (!report_) return nullptr;
  for (const model::VolumeStatus& status : report_->volumes) {
    if (status.id == id) return &status;
  }
  return nullptr;
}

void FakeControl::tell(model::AppNames names) {
  names_[names.app] = std::move(names);
  changed_.raise();
}

void FakeControl::go_away(bool away) {
  away_ = away;
  changed_.raise();
}

const model::MachineStatus* FakeControl::status(const MachineId& id) const {
  if (!report_) return nullptr;
  for (const model::MachineStatus& status : report_->machines) {
    if (status.id == id) return &status;
  }
  return nullptr;
}

void FakeLink::send_volumes(FeedSink& sink) {
  std::set<VolumeId> all;
  for (const auto& [id, volume] : control_.volumes_) {
    sink.volume_wanted(volume);
    all.insert(id);
  }
  sink.volumes_synced(all);
}

void FakeControl::want(model::RegistryLogin login) {
  registries_[login.registry] = std::move(login);
  changed_.raise();
}

void FakeControl::forget_registry(const std::string& registry) {
  registries_.erase(registry);
  changed_.raise();
}

void FakeLink::send_registries(FeedSink& sink) {
  std::set<std::string> all;
  for (const auto& [registry, login] : control_.registries_) {
    sink.registry_wanted(login);
    all.insert(registry);
  }
  sink.registries_synced(all);
}

void FakeLink::send_names(FeedSink& sink) {
  std::set<AppName> all;
  for (const auto& [app, names] : control_.names_) {
    sink.names_told(names);
    all.insert(app);
  }
  sink.names_synced(all);
}

void FakeLink::send_snapshot(FeedSink& sink) {
  send_registries(sink);
  send_volumes(sink);
  send_names(sink);
  std::set<MachineId> all;
  for (const auto& [id, machine] : control_.wanted_) {
    sink.machine_wanted(machine);
    all.insert(id);
  }
  sink.synced(all);
}

async::Task<void> FakeLink::follow(FeedSink& sink) {
  async::Loop& loop = node_.host().loop;
  for (;;) {
    co_await loop.sleep(1ms);
    if (control_.away_) {
      co_await control_.changed_.wait_beyond(control_.changed_.count());
      continue;
    }
    send_snapshot(sink);
    std::size_t at = control_.journal_.size();
    while (!control_.away_) {
      co_await control_.changed_.wait_beyond(control_.changed_.count());
      co_await loop.sleep(1ms);
      send_registries(sink);
      send_volumes(sink);
      send_names(sink);
      for (; at < control_.journal_.size(); ++at) {
        const auto [id, machine] = control_.journal_[at];
        if (machine) {
          sink.machine_wanted(*machine);
        } else {
          sink.machine_gone(id);
        }
      }
    }
  }
}

async::Task<Result<void>> FakeLink::report(model::NodeReport report) {
  co_await node_.host().loop.sleep(1ms);
  if (control_.away_) co_return fail(Code::unavailable, "control is away");
  control_.report_ = std::move(report);
  for (const model::MachineStatus& status : control_.report_->machines) {
    const bool removed = status.state == MachineState::destroyed;
    if (removed && control_.wanted_.contains(status.id)) control_.forget(status.id);
  }
  for (const model::VolumeStatus& status : control_.report_->volumes) {
    const bool gone = status.state == model::VolumeState::destroyed;
    if (gone && control_.volumes_.erase(status.id) > 0) control_.changed_.raise();
  }
  control_.told_.raise();
  co_await node_.step("after report");
  co_return Result<void>();
}

// ---- images, firewall, driver ----

async::Task<Result<PreparedImage>> FakeImages::prepare(model::ImageRef image, image::Login shown,
                                                       int /*max_layers*/) {
  login = std::move(shown);
  co_await node_.host().loop.sleep(takes);
  if (failure) co_return fail(*failure);
  ++prepared;
  PreparedImage ready;
  ready.layers = {"/disks/" + image.digest};
  ready.config.cmd = {"/app"};
  co_return ready;
}

async::Task<Result<void>> FakeImages::make_upper(std::string path, std::uint64_t /*bytes*/) {
  co_return co_await node_.host().disk.write_file(path, "ext4", 0600, sys::Durability::cached);
}

async::Task<Result<std::optional<DiskFacts>>> FakeDisks::look(std::string path) {
  const auto text = co_await node_.host().disk.read_file(path, 64);
  if (!text && text.error().code == Code::not_found) co_return std::nullopt;
  CO_TRY_VOID(text);
  const auto size = parse_uint(text->substr(text->find(' ') + 1), 1'000'000);
  if (!size) co_return fail(Code::data_loss, "{}: \"{}\" is no disk", path, *text);
  co_return DiskFacts{.size_mib = static_cast<std::int64_t>(*size), .used_mib = 1};
}

async::Task<Result<void>> FakeDisks::make(std::string path, std::int64_t size_mib,
                                          std::string its_key) {
  if (failure) co_return fail(*failure);
  ++made;
  key = std::move(its_key);
  co_return co_await grow(std::move(path), size_mib);
}

async::Task<Result<void>> FakeDisks::copy(std::string from, std::string to) {
  CO_TRY(std::string text, co_await node_.host().disk.read_file(from, 64));
  co_return co_await node_.host().disk.write_file(to, text, 0600, sys::Durability::synced);
}

async::Task<Result<void>> FakeDisks::rename(std::string from, std::string to) {
  CO_TRY_VOID(co_await copy(from, std::move(to)));
  co_return co_await node_.host().disk.remove(std::move(from));
}

async::Task<Result<void>> FakeDisks::grow(std::string path, std::int64_t size_mib) {
  co_return co_await node_.host().disk.write_file(path, fmt::format("ext4 {}", size_mib), 0600,
                                                  sys::Durability::synced);
}

async::Task<Result<std::int64_t>> FakeDisks::free_mib(std::string /*directory*/) {
  co_return 100'000;
}

async::Task<Result<void>> FakeFabric::apply(std::vector<vm::FirewallMachine> wanted) {
  ++applied;
  if (takes > 0ms) co_await node_.host().loop.sleep(takes);
  machines = std::move(wanted);
  present = true;
  co_return Result<void>();
}

async::Task<Result<void>> FakeFabric::remove() {
  machines.clear();
  present = false;
  co_return Result<void>();
}

async::Task<Result<void>> SteppingDriver::boot(vm::VmSpec spec) {
  co_await node_.step("before boot");
  const Result<void> booted = co_await inner_.boot(std::move(spec));
  co_await node_.step("after boot");
  co_return booted;
}

async::Task<Result<void>> SteppingDriver::signal(MachineId machine, int number) {
  co_await node_.step("before signal");
  const Result<void> sent = co_await inner_.signal(std::move(machine), number);
  co_await node_.step("after signal");
  co_return sent;
}

async::Task<Result<void>> SteppingDriver::kill(MachineId machine) {
  co_await node_.step("before kill");
  const Result<void> killed = co_await inner_.kill(std::move(machine));
  co_await node_.step("after kill");
  co_return killed;
}

async::Task<Result<void>> SteppingDriver::forget(MachineId machine) {
  co_await node_.step("before forget");
  const Result<void> forgotten = co_await inner_.forget(std::move(machine));
  co_await node_.step("after forget");
  co_return forgotten;
}

async::Task<Result<void>> SteppingDriver::suspend(MachineId machine) {
  co_await node_.step("before suspend");
  const Result<void> saved = co_await inner_.suspend(std::move(machine));
  co_await node_.step("after suspend");
  co_return saved;
}

async::Task<Result<void>> SteppingDriver::discard(MachineId machine) {
  co_await node_.step("before discard");
  const Result<void> gone = co_await inner_.discard(std::move(machine));
  co_await node_.step("after discard");
  co_return gone;
}

// ---- the bench ----

namespace {

constexpr std::string_view kMachines = "/state/machines/";

async::Task<void> sleep_for(async::Loop& loop, Duration d) {
  co_await loop.sleep(d);
}

}  // namespace

Bench::Bench(std::uint64_t seed)
    : simulation(seed),
      node(simulation.add_node("n1")),
      control(simulation),
      images(node),
      disks(node),
      fabric(node) {
  vms.emplace(node.host());
  node.on_step([this](sim::Node&, std::string_view what) { check_step(what); });
  node.on_crash([this](sim::Node&) {
    worker = nullptr;
    lose_vms(node.last_crash());
    simulation.after(50ms, [this] {
      if (!node.running()) node.restart();
    });
  });
}

async::Task<void> Bench::run_worker(Bench& bench) {
  SteppingDriver driver(bench.node, *bench.vms);
  FakeLink link(bench.control, bench.node);
  Config config;
  config.node = NodeId("n1");
  config.region = RegionCode("loc");
  config.state_dir = "/state";
  config.key_ring = kKeyRing;
  config.memory_mib = 4096;
  for (;;) {  // a worker that ends is started again, as the supervisor does
    auto made = Worker::make(bench.node.host(), config, driver, bench.images, bench.disks,
                             bench.fabric, link);
    PERIGEE_CHECK(made.has_value());
    bench.worker = made->get();
    const Result<void> ended = co_await (*made)->run(nullptr);
    bench.worker = nullptr;
    const bool full = !ended && ended.error().code == Code::resource_exhausted;
    if (!full) bench.violation += "the worker ended; ";
    co_await bench.node.host().loop.sleep(1s);
  }
}

void Bench::start() {
  node.start([this](sim::Node&) { return run_worker(*this); });
}

void Bench::down_for_good(sim::Crash kind) {
  worker = nullptr;
  node.crash(kind);
  lose_vms(kind);
}

void Bench::crash(sim::Crash kind) {
  down_for_good(kind);
  simulation.run_for(50ms);
  if (!node.running()) node.restart();
}

void Bench::lose_vms(sim::Crash kind) {
  if (kind != sim::Crash::power) return;
  const vm::FakeVms::Snapshots kept = vms->snapshots();
  vms.emplace(node.host(), kept);
}

model::Machine Bench::machine(const std::string& id) {
  model::Machine machine;
  machine.id = MachineId(id);
  machine.name = id;
  machine.app = AppName("hello");
  machine.region = RegionCode("loc");
  machine.node = NodeId("n1");
  machine.instance_id = "v1";
  machine.config.image = "hello:1";
  machine.image.digest = "sha256:1";
  return machine;
}

bool Bench::reached(const MachineId& id, MachineState state) const {
  const model::MachineStatus* status = control.status(id);
  if (state == MachineState::destroyed) {
    return control.report() && (status == nullptr || status->state == state);
  }
  return status != nullptr && status->state == state;
}

async::Task<void> Bench::wait_for(Bench& bench, MachineId id, MachineState state) {
  while (!bench.reached(id, state)) {
    co_await bench.control.told().wait_beyond(bench.control.told().count());
  }
}

bool Bench::until(const MachineId& id, MachineState state) {
  async::Loop& loop = simulation.loop();
  return simulation.run(async::first_of(loop, wait_for(*this, id, state), sleep_for(loop, 5min))) ==
         async::Winner::first;
}

std::string Bench::exit_codes_reported(const MachineId& id) const {
  std::string codes;
  const model::MachineStatus* status = control.status(id);
  if (status == nullptr) return codes;
  for (const model::MachineEvent& event : status->events) {
    if (event.exit) codes += fmt::format("{} ", event.exit->exit_code);
  }
  return codes;
}

std::set<std::string> Bench::machine_paths() {
  std::set<std::string> below;
  for (const std::string& path : node.disk().paths()) {
    if (path.starts_with(kMachines)) below.insert(path.substr(kMachines.size()));
  }
  return below;
}

// At every step: records on disk are whole, and their states follow the table.
void Bench::check_step(std::string_view what) {
  if (!what.starts_with("after write ") || !what.ends_with("machine.json")) return;
  const auto text = node.disk().content(std::string(what.substr(12)));
  const auto value = text ? json::parse(*text) : Result<json::Value>(json::Value());
  const auto record = value ? record_from(*value) : fail(value.error());
  if (!record) {
    violation += "unreadable record: " + record.error().context;
    return;
  }
  const MachineId& id = record->machine.id;
  const MachineState now = record->status.state;
  const auto before = saved_.find(id);
  if (before != saved_.end() && before->second != now && !model::may_follow(before->second, now)) {
    violation += fmt::format("{}: {} → {}; ", id, model::name(before->second), model::name(now));
  }
  saved_[id] = now;
}

}  // namespace perigee::worker
