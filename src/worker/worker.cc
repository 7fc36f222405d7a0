#include "worker/worker.h"

#include <utility>

#include "async/combine.h"
#include "base/log.h"
#include "base/text.h"
#include "http/server.h"
#include "worker/api.h"
#include "worker/host_boot.h"
#include "worker/limits.h"
#include "worker/machine_record.h"

namespace perigee::worker {
namespace {

using model::DesiredState;
using model::MachineState;

async::Task<void> sleep_for(async::Loop& loop, Duration d) {
  co_await loop.sleep(d);
}

// A machine of which only leftovers are known: it is cleaned away as any other.
Record leftover(const MachineId& id, bool has_vm) {
  model::Machine machine;
  machine.id = id;
  machine.app = AppName("unknown");
  machine.desired = DesiredState::destroyed;
  Record record = new_record(std::move(machine));
  if (has_vm) {
    record.boot = BootPhase::ordered;
    record.status.state = MachineState::started;
  }
  return record;
}

}  // namespace

Result<std::unique_ptr<Worker>> Worker::make(sys::Host& host, Config config, vm::Driver& driver,
                                             Images& images, VolumeDisks& disks, Fabric& fabric,
                                             ControlLink& control) {
  TRY(AddressPool addresses, AddressPool::open(config.network));
  return std::unique_ptr<Worker>(new Worker(host, std::move(config), std::move(addresses), driver,
                                            images, disks, fabric, control));
}

Worker::Worker(sys::Host& host, Config config, AddressPool addresses, vm::Driver& driver,
               Images& images, VolumeDisks& disks, Fabric& fabric, ControlLink& control)
    : host_(host),
      config_(std::move(config)),
      boot_id_(sys::random_hex(host.entropy, 8)),
      driver_(driver),
      control_(control),
      addresses_(std::move(addresses)),
      network_(host, fabric),
      store_(host.disk, config_.state_dir + "/machines"),
      logs_(host.disk, config_.state_dir + "/logs", config_.logs),
      boots_(host.loop, kMaxConcurrentBoots),
      unsealer_(host, config_.key_ring),
      registries_(host, config_.state_dir + "/registries.json", unsealer_),
      check_attempts_(host.loop, kMaxConcurrentChecks),
      changed_(host.loop),
      taken_up_(host.loop),
      volumes_(
          host, config_.state_dir + "/volumes", disks, driver, changed_,
          [this](const MachineId& id) { return is_busy(id); }, unsealer_),
      names_(host, config_.state_dir + "/names.json"),
      tools_{host_,    config_, driver_,   images,      store_,          volumes_, addresses_,
             network_, boots_,  unsealer_, registries_, check_attempts_, changed_, logs_},
      tasks_(host.loop) {}

Worker::~Worker() = default;

async::Task<Result<void>> Worker::run(std::unique_ptr<sys::Listener> listener) {
  CO_TRY_VOID(co_await take_up());
  taken_up_.set();
  tasks_.spawn(MachineNetwork::run(network_));
  tasks_.spawn(follow_events(*this));
  tasks_.spawn(follow_feed(*this));
  tasks_.spawn(send_reports(*this));
  tasks_.spawn(prune_logs(*this));
  tasks_.spawn(NameBook::run(names_));
  if (listener) {
    WorkerApi api(host_, *this, config_.allowed_uid);
    http::Server server(host_, api, {});
    co_await server.serve(std::move(listener));
    co_return fail(Code::internal, "worker.sock was closed");
  }
  co_await tasks_.drained();
  co_return Result<void>();
}

// ---- the start ----

async::Task<Result<void>> Worker::take_up() {
  co_await names_.load();
  CO_TRY_AS(MachineStore::Loaded loaded, co_await store_.load(), "the machines' records");
  CO_TRY_VOID_AS(co_await volumes_.load(), "the volumes' records");
  CO_TRY_VOID_AS(co_await registries_.load(), "the log-ins at registries");
  for (Record& record : loaded.records) {
    reserve_address(record);
    if (!record.status.private_ip.empty()) {
      network_.put(record.machine.id, firewall_machine(tools_, record));
    }
  }
  CO_TRY_VOID(co_await network_.load());
  for (vm::VmStatus& vm : co_await adopt()) {
    const MachineId id = vm.machine;
    found_[id] = std::move(vm);
  }
  CO_TRY_VOID_AS(co_await note_host_restart(loaded.records), "the restart of the host");
  log_info("worker", "node {}: {} machines on record, {} VMs found, accelerator {}", config_.node,
           loaded.records.size(), found_.size(), driver_.accelerator());
  for (Record& record : loaded.records) {
    add(std::move(record), MachineReconciler::Stored::yes);
  }
  orphans_.insert(loaded.orphans.begin(), loaded.orphans.end());
  co_return Result<void>();
}

// The records first, then the marker: killed in between, the next worker does it again.
async::Task<Result<void>> Worker::note_host_restart(std::vector<Record>& records) {
  host_restarted_ = co_await was_host_restarted(host_.disk, config_);
  if (!host_restarted_) co_return Result<void>();
  for (Record& record : records) {
    if (found_.contains(record.machine.id)) continue;
    const Record before = record;
    worker::note_host_restart(record, host_.clock.wall());
    if (record == before) continue;
    log_info("worker", "machine {}: its VM went with the host{}", record.machine.id,
             record.resume ? "; it is started again" : "");
    CO_TRY_VOID(co_await store_.save(record));
  }
  co_return co_await note_host_boot(host_.disk, config_);
}

async::Task<std::vector<vm::VmStatus>> Worker::adopt() {
  for (;;) {
    auto found = co_await driver_.adopt();
    if (found) co_return *std::move(found);
    log_error("worker", "taking up the VMs that run: {}; trying again", found.error().context);
    co_await host_.loop.sleep(kRetryAction);
  }
}

void Worker::reserve_address(Record& record) {
  std::string& address = record.status.private_ip;
  if (address.empty() || addresses_.reserve(address)) return;
  log_error("worker", "machine {}: its address {} is not free in {}; it gets another one",
            record.machine.id, address, config_.network);
  address.clear();
}

MachineReconciler& Worker::add(Record record, MachineReconciler::Stored stored) {
  const MachineId id = record.machine.id;
  std::optional<vm::VmStatus> vm;
  if (const auto found = found_.find(id); found != found_.end()) {
    vm = std::move(found->second);
    found_.erase(found);
  }
  orphans_.erase(id);
  auto& slot = machines_[id];
  slot = std::make_unique<MachineReconciler>(tools_, std::move(record), stored, std::move(vm));
  if (node_down_) slot->node_down();
  if (host_restarted_ && stored == MachineReconciler::Stored::yes) slot->host_restarted();
  slot->start();
  changed_.raise();
  return *slot;
}

// ---- what control wants ----

void Worker::machine_wanted(model::Machine machine) {
  const MachineId id = machine.id;
  if (!is_safe_id(id)) {
    return log_error("worker", "machine '{}': not an id; ignored", id);
  }
  if (gone_.contains(id)) {
    revived_[id] = std::move(machine);
    return;
  }
  if (const auto known = machines_.find(id); known != machines_.end()) {
    return known->second->want(std::move(machine));
  }
  if (machines_.size() >= kMaxMachines) {
    return log_error("worker", "machine {}: this node has {} already; ignored", id, kMaxMachines);
  }
  Record record = new_record(std::move(machine));
  if (found_.contains(id)) {  // a VM whose record is lost: another one takes its place
    record.boot = BootPhase::ordered;
    record.status.state = MachineState::restarting;
  }
  add(std::move(record), MachineReconciler::Stored::no);
}

void Worker::machine_gone(MachineId id) {
  const auto known = machines_.find(id);
  if (known == machines_.end()) return;
  revived_.erase(id);
  known->second->want_gone();
  gone_.insert(std::move(id));
  changed_.raise();
}

void Worker::synced(const std::set<MachineId>& machines) {
  for (const auto& [id, reconciler] : machines_) {
    if (machines.contains(id)) continue;
    if (!reconciler->removed()) log_warning("worker", "machine {}: unknown to control", id);
    machine_gone(id);
  }
  synced_ = true;
  std::set<MachineId> leftovers = orphans_;
  for (const auto& [id, vm] : found_) leftovers.insert(id);
  for (const MachineId& id : leftovers) {
    if (!machines.contains(id)) add_leftover(id);
  }
}

void Worker::add_leftover(const MachineId& id) {
  log_warning("worker", "machine {}: unknown to control and without a record; cleaned away", id);
  add(leftover(id, found_.contains(id)), MachineReconciler::Stored::no);
  gone_.insert(id);
}

// Drops machines that are removed and that control no longer asks about.
void Worker::sweep() {
  for (auto it = gone_.begin(); it != gone_.end();) {
    const MachineId id = *it;
    const auto known = machines_.find(id);
    if (known != machines_.end() && !known->second->removed()) {
      ++it;
      continue;
    }
    if (known != machines_.end()) machines_.erase(known);
    it = gone_.erase(it);
    if (auto again = revived_.extract(id)) machine_wanted(std::move(again.mapped()));
  }
}

std::optional<dns::Client> Worker::name_client(const std::string& address) const {
  for (const auto& [id, reconciler] : machines_) {
    if (reconciler->status().private_ip != address) continue;
    const model::Machine& machine = reconciler->machine();
    dns::Client client{.view = {.app = machine.app.str()}};
    client.outside = machine.egress.kind != model::EgressKind::closed;
    const model::AppNames* names = names_.find(machine.app);
    client.known = names != nullptr;
    if (!client.known) return client;
    for (const model::NamedMachine& each : names->machines) {
      client.view.hosts.push_back({each.id.str(), each.region.str(), each.address});
    }
    return client;
  }
  return std::nullopt;
}

// ---- the tasks ----

async::Task<void> Worker::follow_events(Worker& worker) {
  for (;;) {
    vm::VmStatus vm = co_await worker.driver_.next_event();
    const auto known = worker.machines_.find(vm.machine);
    if (known != worker.machines_.end()) {
      known->second->vm_changed(std::move(vm));
      continue;
    }
    const MachineId id = vm.machine;
    worker.found_[id] = std::move(vm);
    if (worker.synced_) worker.add_leftover(id);
  }
}

async::Task<void> Worker::follow_feed(Worker& worker) {
  co_await worker.control_.follow(worker);
}

// At once on every change, as soon as the one before is through; and every few seconds.
async::Task<void> Worker::send_reports(Worker& worker) {
  async::Loop& loop = worker.host_.loop;
  bool told = false;
  for (;;) {
    worker.sweep();
    const std::uint64_t seen = worker.changed_.count();
    const Result<void> sent = co_await worker.control_.report(worker.report());
    if (sent) {
      told = false;
      co_await async::first_of(loop, worker.changed_.wait_beyond(seen),
                               sleep_for(loop, kReportInterval));
      continue;
    }
    if (!std::exchange(told, true)) {
      log_warning("worker", "report to control: {}; trying again", sent.error().context);
    }
    co_await loop.sleep(kReportRetry);
  }
}

async::Task<void> Worker::prune_logs(Worker& worker) {
  for (;;) {
    const Result<void> pruned = co_await worker.logs_.prune(worker.host_.clock.wall());
    if (!pruned) log_warning("worker", "old logs: {}", pruned.error().context);
    co_await worker.host_.loop.sleep(kPruneInterval);
  }
}

async::Task<Result<std::vector<ArchivedLog>>> Worker::archived_logs(AppName app) {
  co_return co_await logs_.list(std::move(app));
}

model::NodeReport Worker::report() const {
  model::NodeReport report;
  report.node = config_.node;
  report.region = config_.region;
  report.boot_id = boot_id_;
  report.cpus = config_.cpus;
  report.memory_mib = config_.memory_mib;
  report.memory_free_mib = config_.memory_mib;
  report.accelerator = driver_.accelerator();
  report.disk_free_mib = volumes_.free_mib();
  report.volumes = volumes_.report();
  std::set<std::string> keys;
  for (const auto& [id, reconciler] : machines_) {
    add_sealing_keys(reconciler->recorded(), keys);
    report.machines.push_back(reconciler->status());
    const bool holds =
        reconciler->has_vm() || reconciler->machine().desired == DesiredState::started;
    if (holds) report.memory_free_mib -= reconciler->machine().config.guest.memory_mib;
  }
  volumes_.add_sealing_keys(keys);
  registries_.add_sealing_keys(keys);
  report.sealing_keys.assign(keys.begin(), keys.end());
  return report;
}

// A machine that is not known yet may have a VM that is.
bool Worker::is_busy(const MachineId& id) const {
  const MachineReconciler* machine = find(id);
  return machine == nullptr ? found_.contains(id) || !synced_ : !machine->at_rest();
}

const MachineReconciler* Worker::find(const MachineId& id) const {
  const auto known = machines_.find(id);
  return known == machines_.end() ? nullptr : known->second.get();
}

async::Task<Result<std::unique_ptr<sys::Stream>>> Worker::exec(MachineId id) {
  return driver_.exec(std::move(id));
}

async::Task<Result<void>> Worker::signal(MachineId id, int number) {
  CO_TRY_VOID(co_await driver_.signal(id, number));
  if (const auto known = machines_.find(id); known != machines_.end()) {
    known->second->signalled(number);
  }
  co_return Result<void>();
}

std::vector<SampleSeed> Worker::sample_seeds() const {
  std::vector<SampleSeed> seeds;
  for (const auto& [id, reconciler] : machines_) {
    if (!reconciler->removed()) seeds.push_back(seed_of(*reconciler));
  }
  return seeds;
}

// ---- perigee down ----

bool Worker::all_at_rest() const {
  for (const auto& [id, reconciler] : machines_) {
    if (!reconciler->at_rest()) return false;
  }
  return true;
}

async::Task<void> Worker::wait_until_stopped(Worker& worker) {
  co_await worker.taken_up_.wait();
  for (const auto& [id, vm] : std::map(worker.found_)) worker.add_leftover(id);
  for (const auto& [id, reconciler] : worker.machines_) reconciler->node_down();
  while (!worker.all_at_rest()) co_await worker.changed_.wait_beyond(worker.changed_.count());
}

async::Task<Result<void>> Worker::stop_all(Deadline deadline) {
  node_down_ = true;
  const MonotonicTime now = host_.loop.now();
  const auto winner = co_await async::first_of(host_.loop, wait_until_stopped(*this),
                                               sleep_for(host_.loop, deadline.at - now));
  if (winner == async::Winner::first) co_return co_await network_.take_down();
  std::vector<std::string> left;
  for (const auto& [id, reconciler] : machines_) {
    if (!reconciler->at_rest()) left.push_back(id.str());
  }
  co_return fail(Code::deadline_exceeded, "these machines did not stop in time: {}",
                 join(left, ", "));
}

}  // namespace perigee::worker
