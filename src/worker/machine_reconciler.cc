#include "worker/machine_reconciler.h"

#include <algorithm>
#include <utility>

#include "async/combine.h"
#include "base/log.h"
#include "model/checks.h"
#include "model/json.h"
#include "model/limits.h"
#include "model/signals.h"
#include "worker/guest_process.h"
#include "worker/limits.h"
#include "worker/listen_advice.h"
#include "worker/machine_limits.h"
#include "worker/machine_record.h"
#include "worker/private_addresses.h"

namespace perigee::worker {
namespace {

using model::DesiredState;
using model::MachineState;

async::Task<void> sleep_until(async::Loop& loop, MonotonicTime at) {
  co_await loop.sleep_until(at);
}

vm::EgressPolicy egress_of(const model::EgressPolicy& egress) {
  vm::EgressPolicy out;
  switch (egress.kind) {
    case model::EgressKind::internet:
      out.kind = vm::EgressKind::internet;
      break;
    case model::EgressKind::closed:
      out.kind = vm::EgressKind::closed;
      break;
    case model::EgressKind::listed:
      out.kind = vm::EgressKind::listed;
      break;
  }
  for (const model::EgressRule& rule : egress.rules) {
    out.rules.push_back({rule.network, rule.first_port, rule.last_port});
  }
  return out;
}

// A VM that the driver knows better than we do; stopping it is always right.
vm::VmStatus unknown_vm(const MachineId& machine) {
  vm::VmStatus vm;
  vm.machine = machine;
  vm.instance_id = "unknown";
  return vm;
}

}  // namespace

vm::FirewallMachine firewall_machine(const Tools& tools, const Record& record) {
  const MachineId& id = record.machine.id;
  const PrivateAddresses addresses = private_addresses(tools.addresses, tools.config, record);
  return {.app = record.machine.app.str(),
          .tap = vm::tap_name(id),
          .mac = vm::mac_address(id),
          .address = record.status.private_ip,
          .address6 = addresses.machine,
          .fleet = addresses.fleet,
          .egress = egress_of(record.machine.egress),
          .net_mbit = limits_of(record.machine.config).net_mbit};
}

MachineReconciler::MachineReconciler(Tools& tools, Record record, Stored stored,
                                     std::optional<vm::VmStatus> vm)
    : tools_(tools),
      record_(std::move(record)),
      stored_(stored == Stored::yes),
      poked_(tools.host.loop),
      probes_(tools.host.loop),
      checks_(tools.host, tools.driver, tools.check_attempts, [this] { poke(); }),
      runner_(tools.host.loop) {
  observed_.vm = std::move(vm);
}

void MachineReconciler::start() {
  update_probe();
  update_checks();
  runner_.spawn(run(*this));
}

bool MachineReconciler::has_vm() const {
  return observed_.vm && observed_.vm->state != vm::VmState::exited;
}

bool MachineReconciler::at_rest() const {
  const MachineState state = record_.status.state;
  return !observed_.vm && record_.boot == BootPhase::none && state != MachineState::starting &&
         state != MachineState::restarting && state != MachineState::stopping;
}

// ---- what others tell ----

void MachineReconciler::want(model::Machine machine) {
  if (machine == this->machine()) return;
  pending_ = std::move(machine);
  poke();
}

void MachineReconciler::want_gone() {
  if (machine().desired == DesiredState::destroyed) return;
  model::Machine gone = machine();
  gone.desired = DesiredState::destroyed;
  ++gone.desired_sequence;
  want(std::move(gone));
}

void MachineReconciler::vm_changed(vm::VmStatus vm) {
  if (noted_exit_ == vm) return;  // told twice (adopted, and as an event)
  observed_.vm = std::move(vm);
  poke();
}

void MachineReconciler::node_down() {
  observed_.node_down = true;
  poke();
}

void MachineReconciler::signalled(int number) {
  if (signals_.size() < model::kMaxMachineEvents) signals_.push_back(number);
  poke();
}

void MachineReconciler::poke() {
  dirty_ = true;
  poked_.notify_all();
}

// ---- the coroutine ----

async::Task<void> MachineReconciler::run(MachineReconciler& self) {
  async::Loop& loop = self.tools_.host.loop;
  for (;;) {
    self.dirty_ = false;
    self.observed_.checks = self.checks_.statuses();
    Result<void> done = co_await self.absorb();
    if (done) done = co_await self.record_signals();
    Plan next;
    if (done) {
      next = plan(self.record_, self.observed_, loop.now());
      if (next.action != Action::wait) done = co_await self.perform(next.action);
    }
    if (!done) {
      log_warning("worker", "machine {}: {}: {}", self.record_.machine.id, name(next.action),
                  done.error().context);
      co_await self.rest(loop.now() + kRetryAction);
    } else if (next.action == Action::wait && !self.dirty_) {
      co_await self.rest(next.wake_at);
    }
  }
}

async::Task<void> MachineReconciler::wait_for_change(MachineReconciler& self) {
  while (!self.dirty_) co_await self.poked_.wait();
}

async::Task<void> MachineReconciler::rest(std::optional<MonotonicTime> until) {
  if (!until) {
    co_await wait_for_change(*this);
  } else {
    async::Loop& loop = tools_.host.loop;
    co_await async::first_of(loop, wait_for_change(*this), sleep_until(loop, *until));
  }
}

// Takes over what control said meanwhile; it is on disk before anything is done about it.
async::Task<Result<void>> MachineReconciler::absorb() {
  if (!pending_) co_return Result<void>();
  const bool other = pending_->instance_id != record_.machine.instance_id ||
                     pending_->desired_sequence != record_.machine.desired_sequence;
  Record changed = record_;
  changed.machine = *pending_;
  if (stored_ || changed.machine.desired != DesiredState::destroyed) {
    CO_TRY_VOID(co_await tools_.store.save(changed));
    stored_ = true;
  }
  // `pending_` may be newer by now: then it stays and comes next.
  if (pending_ == changed.machine) pending_.reset();
  record_.machine = std::move(changed.machine);
  if (other) delay_boot(std::nullopt);
  if (!record_.status.private_ip.empty() && !removed()) {
    tools_.network.put(record_.machine.id, firewall_machine(tools_, record_));
  }
  co_return Result<void>();
}

async::Task<Result<void>> MachineReconciler::record_signals() {
  if (signals_.empty() || removed()) co_return Result<void>();
  const Record before = record_;
  const std::vector<int> sent = std::exchange(signals_, {});
  for (const int number : sent) note_signal(record_, number, tools_.host.clock.wall());
  Result<void> saved = co_await save();
  if (!saved) {
    record_ = before;
    signals_.insert(signals_.begin(), sent.begin(), sent.end());
  }
  co_return saved;
}

void MachineReconciler::delay_boot(std::optional<Duration> delay) {
  observed_.retry_at.reset();
  if (delay) observed_.retry_at = tools_.host.loop.now() + *delay;
  if (!delay) observed_.failed_boots = 0;
}

async::Task<Result<void>> MachineReconciler::save() {
  CO_TRY_VOID(co_await tools_.store.save(record_));
  stored_ = true;
  tools_.changed.raise();
  co_return Result<void>();
}

async::Task<Result<void>> MachineReconciler::perform(Action action) {
  log_debug("worker", "machine {}: {}", record_.machine.id, name(action));
  switch (action) {
    case Action::boot:
      return boot();
    case Action::suspend:
      return suspend();
    case Action::discard:
      return discard();
    case Action::signal:
      return signal();
    case Action::kill:
      return kill();
    case Action::forget:
      return forget();
    case Action::remove:
      return remove();
    default:
      return change(action);
  }
}

// The actions that change nothing but the record.
async::Task<Result<void>> MachineReconciler::change(Action action) {
  const Record before = record_;
  const Observed observed_before = observed_;
  apply(action);
  const Result<void> saved = co_await save();
  if (!saved) {  // not on disk: not true
    record_ = before;
    observed_.retry_at = observed_before.retry_at;
    co_return saved;
  }
  if (record_.status.state != before.status.state) {
    log_info("worker", "machine {} ({}): {} → {}{}{}", record_.machine.id, record_.machine.app,
             model::name(before.status.state), model::name(record_.status.state),
             record_.status.error.empty() ? "" : ": ", record_.status.error);
  }
  update_probe();
  update_checks();
  co_return Result<void>();
}

void MachineReconciler::apply(Action action) {
  const WallTime now = tools_.host.clock.wall();
  switch (action) {
    case Action::accept:
      return accept_running(record_, *observed_.vm, now);
    case Action::note_listening:
      observed_.silence.reset();
      return note_listening(record_);
    case Action::note_checks:
      return note_checks(record_, observed_.checks, now);
    case Action::note_silence:
      return note_silence(record_, *observed_.silence);
    case Action::acknowledge:
      return acknowledge(record_);
    case Action::begin_suspend:
      return begin_suspend(record_, now);
    case Action::begin_stop:
      return begin_stop(record_, stop_state(record_, observed_), observed_.node_down, now);
    case Action::note_exit:
      noted_exit_ = observed_.vm;
      if (std::exchange(observed_.host_restarted, false) && observed_.vm->exit &&
          observed_.vm->exit->vmm_died)
        return note_host_restart(record_, now);
      return delay_boot(note_exit(record_, *observed_.vm, now));
    case Action::note_loss:
      return delay_boot(note_loss(record_, now));
    case Action::settle:
      return settle(record_, observed_.node_down, now);
    default:
      return;
  }
}

// ---- booting ----

async::Task<Result<void>> MachineReconciler::boot() {
  const Record before = record_;
  order_boot(record_, tools_.host.clock.wall());
  if (const Result<void> saved = co_await save(); !saved) {
    record_ = before;
    co_return saved;
  }
  reset_boot_state();
  async::Loop& loop = tools_.host.loop;
  if (co_await async::first_of(loop, attempt_boot(*this), wait_for_other_wish(*this)) ==
      async::Winner::second) {
    note_forgotten(record_);  // called off before the driver heard of it
    co_return co_await save();
  }
  if (boot_result_) {
    observed_.failed_boots = 0;
    if (!observed_.vm) {
      observed_.vm = unknown_vm(record_.machine.id);
      observed_.vm->instance_id = record_.status.instance_id;
    }
    co_return Result<void>();
  }
  if (boot_result_.error().code == Code::already_exists) {
    observed_.vm = unknown_vm(record_.machine.id);  // it is stopped, and then booted
    co_return Result<void>();
  }
  if (may_resume(record_)) {  // what can't be resumed is booted
    log_warning("worker", "machine {}: can't be resumed, so it is booted: {}", record_.machine.id,
                boot_result_.error().context);
    note_discarded(record_);
    co_return co_await save();
  }
  ++observed_.failed_boots;
  log_warning("worker", "machine {}: boot failed: {}", record_.machine.id,
              boot_result_.error().context);
  const int failures = observed_.failed_boots;
  delay_boot(note_boot_failure(record_, boot_result_.error(), failures, tools_.host.clock.wall()));
  observed_.failed_boots = failures;
  co_return co_await save();
}

void MachineReconciler::reset_boot_state() {
  observed_.signalled_at.reset();
  observed_.killed_at.reset();
  observed_.suspended = false;
  observed_.retry_at.reset();
  observed_.listening = false;
  observed_.silence.reset();
  checks_.stop();
  observed_.checks.clear();
  probes_.cancel_all();
  handed_over_ = false;
}

bool MachineReconciler::wishes_otherwise() const {
  if (observed_.node_down) return true;
  return pending_ && (pending_->desired != DesiredState::started ||
                      pending_->instance_id != record_.machine.instance_id);
}

async::Task<void> MachineReconciler::wait_for_other_wish(MachineReconciler& self) {
  while (self.handed_over_ || !self.wishes_otherwise()) co_await self.poked_.wait();
}

async::Task<void> MachineReconciler::attempt_boot(MachineReconciler& self) {
  self.boot_result_ = co_await self.prepare_and_boot();
}

async::Task<Result<void>> MachineReconciler::prepare_and_boot() {
  CO_TRY(const auto volumes, co_await attach_volumes());
  const async::Semaphore::Permit permit = co_await tools_.boots.acquire();
  CO_TRY_VOID(co_await ensure_address());
  CO_TRY(vm::VmSpec spec, co_await make_spec());
  CO_TRY_VOID(co_await add_volumes(spec, volumes));
  CO_TRY_VOID(co_await tools_.network.settled());
  handed_over_ = true;
  co_return co_await tools_.driver.boot(std::move(spec));
}

// Before a place among the boots is taken: a volume may have to be restored first.
async::Task<Result<MachineReconciler::Attached>> MachineReconciler::attach_volumes() {
  const model::Machine machine = record_.machine;
  Attached attached;
  for (const model::Mount& mount : machine.config.mounts) {
    CO_TRY(AttachedVolume volume, co_await tools_.volumes.attach(mount.volume, machine.id));
    attached.emplace_back(mount.path, std::move(volume));
  }
  co_return attached;
}

async::Task<Result<void>> MachineReconciler::add_volumes(vm::VmSpec& spec,
                                                         const Attached& attached) {
  for (const auto& [path, each] : attached) {
    const int place = static_cast<int>(spec.volumes.size());
    spec.volumes.push_back({.disk = each.disk, .path = path, .encrypted = each.volume.encrypted});
    if (spec.resume || !each.volume.encrypted) continue;
    CO_TRY(spec.secrets.volume_keys[place], co_await tools_.unsealer.volume_key(each.volume));
  }
  co_return Result<void>();
}

// What is resumed keeps the address that it has in its memory.
async::Task<Result<void>> MachineReconciler::ensure_address() {
  model::MachineStatus& status = record_.status;
  const model::MachineStatus before = status;
  if (status.private_ip.empty()) {
    CO_TRY(status.private_ip, tools_.addresses.take());
  }
  if (!may_resume(record_)) {
    status.private_ip6 = wanted_address6(tools_.addresses, tools_.config, record_);
  }
  if (status == before) co_return Result<void>();
  tools_.network.put(record_.machine.id, firewall_machine(tools_, record_));
  co_return co_await save();
}

async::Task<Result<vm::VmSpec>> MachineReconciler::make_spec() {
  const model::Machine machine = record_.machine;
  CO_TRY(image::Login login, co_await tools_.registries.login_for(machine.image.registry));
  const int max_layers = tools_.driver.limits().max_layers;
  CO_TRY_AS(PreparedImage image,
            co_await tools_.images.prepare(machine.image, std::move(login), max_layers),
            "image " + machine.config.image);
  vm::VmSpec spec;
  spec.resume = may_resume(record_);
  spec.upper = tools_.store.upper_of(machine.id);
  if (!spec.resume) {
    CO_TRY_VOID(co_await tools_.images.make_upper(spec.upper, tools_.config.upper_bytes));
  }
  CO_TRY(spec.process, guest_process(image.config, machine, record_.status.private_ip));
  // What is resumed has them in its memory.
  if (!spec.resume) {
    CO_TRY(spec.secrets.environment, co_await tools_.unsealer.app_secrets(machine));
  }
  spec.machine = machine.id;
  spec.instance_id = machine.instance_id;
  spec.cpus = std::min(machine.config.guest.cpus, tools_.driver.limits().max_vcpus);
  spec.memory_mib = machine.config.guest.memory_mib;
  spec.layers = std::move(image.layers);
  spec.hostname = machine.id.str();
  spec.log_bytes = tools_.config.logs.machine_bytes;
  spec.uid = tools_.config.first_vm_uid + tools_.addresses.number_of(record_.status.private_ip);
  spec.limits = vm_limits(machine.config);
  spec.nic.tap = vm::tap_name(machine.id);
  spec.nic.mac = vm::mac_address(machine.id);
  spec.nic.address = record_.status.private_ip;
  spec.nic.gateway = tools_.addresses.gateway();
  const PrivateAddresses addresses = private_addresses(tools_.addresses, tools_.config, record_);
  spec.nic.address6 = addresses.machine;
  spec.nic.gateway6 = addresses.gateway;
  spec.nic.group = tools_.config.tap_group;
  spec.nic.nameservers = tools_.config.nameservers;
  if (!tools_.config.resolver.empty()) {
    spec.nic.nameservers.insert(spec.nic.nameservers.begin(), tools_.config.resolver);
  }
  co_return spec;
}

// ---- suspending, stopping, removing ----

async::Task<Result<void>> MachineReconciler::suspend() {
  const Result<void> saved = co_await tools_.driver.suspend(record_.machine.id);
  if (saved) {
    observed_.suspended = true;
    co_return saved;  // its exit follows as an event
  }
  if (saved.error().code == Code::unavailable) co_return saved;  // again, soon
  log_warning("worker", "machine {}: {}", record_.machine.id, saved.error().context);
  note_suspend_failure(record_, saved.error(), tools_.host.clock.wall());
  const Result<void> kept = co_await save();
  update_probe();
  update_checks();
  co_return kept;
}

async::Task<Result<void>> MachineReconciler::discard() {
  CO_TRY_VOID(co_await tools_.driver.discard(record_.machine.id));
  note_discarded(record_);
  co_return co_await save();
}

async::Task<Result<void>> MachineReconciler::signal() {
  observed_.signalled_at = tools_.host.loop.now();
  const std::string& wanted = stop_config(record_, observed_).signal;
  const int number = model::signal_number(wanted).value_or(*model::signal_number("SIGTERM"));
  const Result<void> sent = co_await tools_.driver.signal(record_.machine.id, number);
  if (!sent) {  // it may have ended just now; if not, it is killed when its time is up
    log_debug("worker", "machine {}: {}", record_.machine.id, sent.error().context);
  }
  co_return Result<void>();
}

async::Task<Result<void>> MachineReconciler::kill() {
  const Result<void> killed = co_await tools_.driver.kill(record_.machine.id);
  if (killed) {
    observed_.killed_at = tools_.host.loop.now();
    co_return killed;
  }
  if (killed.error().code != Code::not_found) co_return killed;
  if (has_vm()) observed_.vm.reset();
  co_return Result<void>();
}

async::Task<Result<void>> MachineReconciler::forget() {
  CO_TRY_VOID(co_await tools_.driver.forget(record_.machine.id));
  observed_.vm.reset();
  observed_.signalled_at.reset();
  observed_.killed_at.reset();
  note_forgotten(record_);
  if (!stored_) co_return Result<void>();
  co_return co_await save();
}

async::Task<Result<void>> MachineReconciler::remove() {
  begin_removal(record_);
  CO_TRY_VOID(co_await tools_.driver.forget(record_.machine.id));
  co_await archive_output();
  CO_TRY_VOID(co_await tools_.store.remove(record_.machine.id));
  stored_ = false;
  tools_.network.remove(record_.machine.id);
  if (!record_.status.private_ip.empty()) tools_.addresses.give_back(record_.status.private_ip);
  note_removed(record_, tools_.host.clock.wall());
  tools_.changed.raise();
  log_info("worker", "machine {} ({}): destroyed", record_.machine.id, record_.machine.app);
  co_return Result<void>();
}

// Output that can't be kept (disk full) keeps no machine from going.
async::Task<void> MachineReconciler::archive_output() {
  const MachineId id = record_.machine.id;
  const Result<void> kept = co_await tools_.logs.keep(
      record_.machine.app, id, tools_.store.vm_directory_of(id), tools_.host.clock.wall());
  if (!kept) log_warning("worker", "machine {}: its output is lost: {}", id, kept.error().context);
}

// ---- readiness ----

// Run while the app is up.
void MachineReconciler::update_checks() {
  const model::MachineStatus& status = record_.status;
  if (status.state != MachineState::started) return checks_.stop();
  checks_.start(record_.machine, status.private_ip,
                status.started_at.value_or(tools_.host.clock.wall()), status.checks);
}

// Runs while the app is up and its port has not answered.
void MachineReconciler::update_probe() {
  const bool up = record_.status.state == MachineState::started;
  const int port = model::listening_port(record_.machine.config);
  const bool answered = record_.status.listening || observed_.listening;
  if (!up || answered || port == 0) return probes_.cancel_all();
  if (probes_.size() == 0) probes_.spawn(probe(*this, record_.status.private_ip, port));
}

async::Task<void> MachineReconciler::probe(MachineReconciler& self, std::string address, int port) {
  sys::Host& host = self.tools_.host;
  const auto to = sys::Address::ip(address, static_cast<std::uint16_t>(port));
  if (!to) co_return;
  Duration pause = kProbeInterval;
  MonotonicTime ask_at = host.loop.now() + kSilencePatience;
  for (int i = 0;; ++i) {
    const bool quick = i < kQuickProbes;
    const Duration patience = quick ? kQuickProbeTimeout : kProbeTimeout;
    if (co_await host.network.connect(*to, host.loop.deadline_in(patience))) break;
    if (host.loop.now() >= ask_at) {
      co_await self.explain_silence(port);
      ask_at = host.loop.now() + kInquiryInterval;
    }
    co_await host.loop.sleep(pause);
    if (!quick) pause = std::min(pause * 2, kMaxProbeInterval);
  }
  self.observed_.listening = true;
  self.poke();
}

async::Task<void> MachineReconciler::explain_silence(int port) {
  const auto sockets = co_await tools_.driver.listening(record_.machine.id);
  if (!sockets) {
    log_debug("worker", "machine {}: {}", record_.machine.id, sockets.error().context);
    co_return;
  }
  observed_.silence = {.error = listen_advice(port, *sockets),
                       .listens_on = describe_sockets(*sockets)};
  poke();
}

}  // namespace perigee::worker
