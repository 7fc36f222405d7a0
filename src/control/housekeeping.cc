#include "control/housekeeping.h"

#include "async/combine.h"
#include "base/log.h"
#include "control/limits.h"
#include "control/machine_frontend.h"
#include "control/volume_frontend.h"

namespace perigee::control {

using model::MachineState;

namespace {

constexpr std::size_t kChangesAtOnce = 256;

bool has_place(const store::Transaction& transaction) {
  return transaction.changes.size() < kChangesAtOnce;
}

}  // namespace

Duty duty_of(const model::Machine& machine, const model::MachineStatus* status) {
  if (status == nullptr) return Duty::none;
  if (machine.desired == model::DesiredState::destroyed)
    return status->state == MachineState::destroyed ? Duty::forget : Duty::none;
  const bool at_rest =
      status->state == MachineState::stopped || status->state == MachineState::failed;
  const bool exited = status->last_exit.has_value() &&
                      status->acted_sequence >= machine.desired_sequence &&
                      status->instance_id == machine.instance_id;
  return machine.config.auto_destroy && at_rest && exited ? Duty::destroy : Duty::none;
}

void Housekeeping::tend(const MachineId& id, store::Transaction& transaction) const {
  const auto found = context_.desired.machines().find(id);
  if (found == context_.desired.machines().end()) return;
  const Stored<model::Machine>& stored = found->second;
  switch (duty_of(stored.value, context_.observed.status(id))) {
    case Duty::none:
      return;
    case Duty::destroy:
      return put(transaction, destroyed(stored.value, context_.host.clock.wall()), stored.revision);
    case Duty::forget:
      transaction.expect(machine_key(id), stored.revision);
      transaction.remove(machine_key(id));
      detach(context_, transaction, stored.value);
      transaction.remove(lease_key(id));
      transaction.remove(versions_key(id));
  }
}

// Volumes that their workers have removed.
void Housekeeping::forget_volumes(store::Transaction& transaction) const {
  for (const VolumeId& id : context_.desired.destroyed_volumes()) {
    const model::VolumeStatus* status = context_.observed.status(id);
    const bool gone = status != nullptr && status->state == model::VolumeState::destroyed;
    if (!gone || !has_place(transaction)) continue;
    transaction.expect(volume_key(id), context_.desired.volumes().at(id).revision);
    transaction.remove(volume_key(id));
  }
}

async::Task<void> Housekeeping::tend_machines() {
  for (;;) {
    store::Transaction transaction;
    const std::set<MachineId>& destroyed = context_.observed.destroyed_machines();
    for (const MachineId& id : destroyed) {
      if (!has_place(transaction)) break;
      tend(id, transaction);
    }
    for (const MachineId& id : context_.desired.auto_destroy_machines()) {
      if (!has_place(transaction)) break;
      if (!destroyed.contains(id)) tend(id, transaction);
    }
    forget_volumes(transaction);
    if (transaction.changes.empty()) {
      co_await context_.changed.wait();
      continue;
    }
    const Result<void> done = co_await context_.commit(std::move(transaction));
    if (done) continue;
    if (done.error().code != Code::conflict)
      log_warning("control", "housekeeping: {}", done.error().context);
    co_await context_.host.loop.sleep(100ms);
  }
}

async::Task<void> Housekeeping::expire_snapshots() {
  for (;;) {
    store::Transaction transaction;
    const WallTime now = context_.host.clock.wall();
    for (const auto& [id, stored] : context_.desired.volumes()) {
      const model::Volume left = without_expired_snapshots(stored.value, now);
      const bool keeps = left == stored.value || !check_no_restore(context_, stored.value, {});
      if (!keeps) put(transaction, left, stored.revision);
    }
    if (!transaction.changes.empty()) {
      const Result<void> done = co_await context_.commit(std::move(transaction));
      if (!done) log_warning("control", "old snapshots: {}", done.error().context);
    }
    co_await context_.host.loop.sleep(kSnapshotCheck);
  }
}

async::Task<void> Housekeeping::renew_certificates() {
  for (;;) {
    std::vector<AppName> stale;
    for (const auto& [name, stored] : context_.desired.apps()) {
      const auto found = context_.desired.certificates().find(context_.publisher.host_of(name));
      if (found == context_.desired.certificates().end() ||
          context_.certificates.is_stale(found->second.value))
        stale.push_back(name);
    }
    for (const AppName& name : stale) {
      const Result<void> done = co_await renew(name);
      if (!done) log_warning("control", "certificate of {}: {}", name, done.error().context);
    }
    co_await context_.host.loop.sleep(kCertificateCheck);
  }
}

async::Task<Result<void>> Housekeeping::renew(AppName app) {
  const std::string host = context_.publisher.host_of(app);
  CO_TRY(const auto stored, context_.desired.app(app));
  CO_TRY(const CertificateRecord record, context_.certificates.issue(host));
  store::Transaction transaction;
  transaction.expect(app_key(app), stored.revision);  // not for an app that is gone
  transaction.put(certificate_key(host), to_json(record).dump());
  CO_TRY_VOID(co_await context_.commit(std::move(transaction)));
  log_info("control", "certificate of {} issued", host);
  co_return Result<void>();
}

}  // namespace perigee::control
