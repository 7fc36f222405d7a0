#include "control/scale_reconciler.h"

#include <algorithm>

#include "async/combine.h"
#include "base/log.h"
#include "control/lease_api.h"
#include "control/limits.h"
#include "control/machine_frontend.h"
#include "control/release_machines.h"
#include "control/route_drain.h"

namespace perigee::control {
namespace {

async::Task<bool> one_change(async::Notify& changed) {
  co_await changed.wait();
  co_return true;
}

bool has_work(const ScalePlan& plan) {
  return !plan.add.empty() || !plan.remove.empty();
}

const Stored<model::Machine>* find(const StoredMachines& machines, const MachineId& id) {
  const auto found =
      std::ranges::find_if(machines, [&](const auto& each) { return each.value.id == id; });
  return found == machines.end() ? nullptr : &*found;
}

// New machines of a release have the secrets of those that are there: what is staged waits for a
// deploy.
void take_secrets(const StoredMachines& from, std::vector<model::Machine>& into) {
  for (model::Machine& machine : into) {
    const auto sibling = std::ranges::find_if(
        from, [&](const auto& each) { return each.value.release == machine.release; });
    if (sibling != from.end()) machine.secrets = sibling->value.secrets;
  }
}

// Only what is on a node that was given up, of a release that is still being deployed: the deploy
// makes another in its place.
ScalePlan without_lost(const FleetView& fleet, const StoredMachines& machines,
                       const model::Release& release) {
  ScalePlan plan;
  for (const auto& each : machines) {
    const model::Machine& machine = each.value;
    const bool lost = machine.release == release.version && fleet.gone.contains(machine.node);
    if (lost && machine.config.mounts.empty())
      plan.remove.push_back(
          {machine.id, fmt::format("its node {} was lost", machine.node), Removal::How::given_up});
  }
  return plan;
}

}  // namespace

ScaleReconciler::ScaleReconciler(const Context& context)
    : context_(context), tasks_(context.host.loop) {}

async::Task<void> ScaleReconciler::run() {
  async::Loop& loop = context_.host.loop;
  co_await context_.publisher.settled();
  for (;;) {
    look();
    co_await loop.sleep(kScalePause);
    if (!due_.empty()) continue;
    co_await async::until(loop, loop.now() + kScaleLook, one_change(context_.changed));
  }
}

void ScaleReconciler::look() {
  const FleetView fleet = fleet_view(context_);
  const MonotonicTime now = context_.host.loop.now();
  std::erase_if(retry_at_, [&](const auto& each) { return each.second <= now; });
  note_due(fleet);
  for (const AppName& name : take_due()) {
    const auto app = context_.desired.apps().find(name);
    if (app != context_.desired.apps().end()) look_at(fleet, app->second);
  }
}

// What has changed, and what was not as wanted; all where the fleet has changed, and once in a
// while: room for one app may be what another has left.
void ScaleReconciler::note_due(const FleetView& fleet) {
  due_.merge(context_.publisher.take_touched_apps());
  due_.merge(unsettled_);
  unsettled_.clear();
  FleetShape shape;
  for (const NodeRoom& room : fleet.rooms)
    shape.emplace_back(room.node, room.region, room.state, fleet.gone.contains(room.node));
  const MonotonicTime now = context_.host.loop.now();
  if (shape == shape_ && now < round_at_) return;
  shape_ = std::move(shape);
  round_at_ = now + kScaleRound;
  for (const auto& [name, app] : context_.desired.apps()) due_.insert(name);
}

// In turns, so that none waits for ever behind those that are due again and again.
std::vector<AppName> ScaleReconciler::take_due() {
  std::vector<AppName> out;
  while (!due_.empty() && out.size() < kAppsPerLook) {
    auto next = due_.upper_bound(last_);
    if (next == due_.end()) next = due_.begin();
    last_ = *next;
    out.push_back(std::move(due_.extract(next).value()));
  }
  return out;
}

void ScaleReconciler::look_at(const FleetView& fleet, const Stored<model::App>& app) {
  const AppName& name = app.value.name;
  if (busy_.contains(name) || retry_at_.contains(name)) {
    unsettled_.insert(name);
    return;
  }
  Outlook outlook = outlook_of(fleet, app, context_.desired.machines_of(name));
  if (!outlook.as_wanted) unsettled_.insert(name);
  if (outlook.jobs.empty()) return;
  busy_.insert(name);
  if (!tasks_.spawn(carry_out(*this, name, std::move(outlook.jobs)))) busy_.erase(name);
}

void ScaleReconciler::Outlook::add(Job job) {
  as_wanted = as_wanted && !has_work(job.plan) && job.plan.notes.empty();
  if (has_work(job.plan)) jobs.push_back(std::move(job));
}

ScaleReconciler::Outlook ScaleReconciler::outlook_of(const FleetView& fleet,
                                                     const Stored<model::App>& app,
                                                     const StoredMachines& machines) const {
  Outlook out;
  const auto newest = context_.desired.release(app.value.name, app.value.last_release);
  const auto current = context_.desired.release(app.value.name, app.value.current_release);
  if (newest && !is_finished(newest->value.release)) {
    ScalePlan plan = without_lost(fleet, machines, newest->value.release);
    out.add({app, newest->value, machines, std::move(plan)});
  } else if (current) {
    ScalePlan plan = plan_scale(scale_view(context_, fleet, app.value, current->value, machines));
    out.add({app, current->value, machines, std::move(plan)});
  }
  for (HandMade& each : hand_made_views(context_, fleet, machines)) {
    ScalePlan plan = plan_scale(each.view);
    out.add({app, {}, std::move(each.machines), std::move(plan)});
  }
  return out;
}

async::Task<void> ScaleReconciler::carry_out(ScaleReconciler& self, AppName app,
                                             std::vector<Job> jobs) {
  for (Job& job : jobs) {
    Result<void> done = co_await self.make(job);
    if (done) done = co_await self.give_up(job);
    if (done) done = co_await self.remove(std::move(job));
    if (done || done.error().code == Code::conflict) continue;  // another look will tell
    log_warning("control", "scale {}: {}", app, done.error().context);
    self.retry_at_[app] = self.context_.host.loop.now() + kScaleRetry;
  }
  self.busy_.erase(app);
}

// Of machines that were made by hand, in their place: the same in all but where they are.
Result<std::vector<model::Machine>> ScaleReconciler::copies_of(const Job& job) const {
  Planned planned;
  for (const Addition& each : job.plan.add) {
    const Stored<model::Machine>* old = find(job.machines, each.replaces);
    if (old == nullptr) continue;
    const bool runs = old->value.desired == model::DesiredState::started;
    NewMachine wanted{.app = old->value.app,
                      .name = old->value.name,
                      .region = each.region,
                      .config = old->value.config,
                      .image = old->value.image,
                      .replaces = each.replaces,
                      .cordoned = old->value.cordoned,
                      .desired = runs ? model::DesiredState::started : model::DesiredState::stopped,
                      .origin = model::Origin::scale};
    TRY(model::Machine copy, make_machine(context_, std::move(wanted), planned));
    copy.secrets = old->value.secrets;
    copy.scheduled_at = old->value.scheduled_at;  // its schedule goes on
    copy.created_at = old->value.created_at;
    planned.machines.push_back(std::move(copy));
  }
  return std::move(planned.machines);
}

async::Task<Result<void>> ScaleReconciler::make(Job job) {
  if (job.plan.add.empty()) co_return Result<void>();
  PlannedMachines planned;
  if (job.release.release.version == 0) {
    CO_TRY(planned.machines, copies_of(job));
  } else {
    CO_TRY(planned, plan_machines(context_, job.release, Entry::at_once, job.plan.add));
    take_secrets(job.machines, planned.machines);
  }
  store::Transaction transaction;
  transaction.expect(app_key(job.app.value.name), job.app.revision);
  for (const model::Machine& machine : planned.machines) {
    put(transaction, machine, 0);
    log_info("control", "machine {} ({}) is made on {} ({}){}{}", machine.id, machine.app,
             machine.node, machine.region, machine.replaces.empty() ? "" : " in the place of ",
             machine.replaces);
  }
  for (const auto& [volume, revision] : planned.volumes) put(transaction, volume, revision);
  co_return co_await context_.commit(std::move(transaction));
}

async::Task<Result<void>> ScaleReconciler::give_up(Job job) {
  co_return co_await destroy(std::move(job), Removal::How::given_up);
}

async::Task<Result<void>> ScaleReconciler::remove(Job job) {
  std::vector<Removal>& removals = job.plan.remove;
  std::erase_if(removals, [](const Removal& each) { return each.how != Removal::How::drained; });
  if (removals.size() > kMaxRemovals) removals.resize(kMaxRemovals);
  if (removals.empty()) co_return Result<void>();
  const std::vector<Removal> leaving = removals;
  for (const Removal& each : leaving) context_.drains.leave(each.machine);
  co_await drain_routes(context_);
  const Result<void> done = co_await destroy(std::move(job), Removal::How::drained);
  for (const Removal& each : leaving) context_.drains.end(each.machine);
  co_return done;
}

async::Task<Result<void>> ScaleReconciler::destroy(Job job, Removal::How how) {
  store::Transaction transaction;
  for (const Removal& each : job.plan.remove) {
    const Stored<model::Machine>* machine = find(job.machines, each.machine);
    if (machine == nullptr || each.how != how) continue;
    if (how == Removal::How::drained) {
      // Somebody may have taken a lease while it left the routes.
      if (!lease_in_the_way(context_, each.machine).empty()) continue;
      expect_same_lease(context_, transaction, each.machine);
    }
    log_info("control", "machine {} ({}) goes: {}", each.machine, machine->value.app, each.why);
    put(transaction,
        ordered(machine->value, model::DesiredState::destroyed, model::Origin::scale,
                context_.host.clock.wall()),
        machine->revision);
  }
  if (transaction.changes.empty()) co_return Result<void>();
  co_return co_await context_.commit(std::move(transaction));
}

}  // namespace perigee::control
