#include "control/housekeeping.h"

#include "async/combine.h"
#include "base/log.h"
#include "control/limits.h"
#include "control/machine_frontend.h"

namespace perigee::control {

using model::MachineState;

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

async::Task<void> Housekeeping::tend_machines() {
  for (;;) {
    store::Transaction transaction;
    for (const auto& [id, stored] : context_.desired.machines()) {
      const Duty duty = duty_of(stored.value, context_.observed.status(id));
      if (duty == Duty::none || transaction.changes.size() >= kMaxMachinesPerApp) continue;
      if (duty == Duty::destroy) {
        put(transaction, destroyed(stored.value, context_.host.clock.wall()), stored.revision);
      } else {
        transaction.expect(machine_key(id), stored.revision);
        transaction.remove(machine_key(id));
      }
    }
    if (transaction.changes.empty()) {
      co_await context_.changed.wait();
      continue;
    }
    const Result<void> done = co_await context_.desired.commit(std::move(transaction));
    if (done) continue;
    if (done.error().code != Code::conflict)
      log_warning("control", "housekeeping: {}", done.error().context);
    co_await context_.host.loop.sleep(100ms);
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
  CO_TRY_VOID(co_await context_.desired.commit(std::move(transaction)));
  log_info("control", "certificate of {} issued", host);
  co_return Result<void>();
}

}  // namespace perigee::control
