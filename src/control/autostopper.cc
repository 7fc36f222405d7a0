#include "control/autostopper.h"

#include "async/combine.h"
#include "base/log.h"
#include "control/lease_api.h"
#include "control/limits.h"
#include "control/machine_calls.h"
#include "control/machine_frontend.h"
#include "control/machine_view.h"

namespace perigee::control {

using model::MachineState;

// A machine on its way to rest, until the way's end or its task's.
class Draining {
 public:
  Draining(Drains& drains, MachineId machine) : drains_(drains), machine_(std::move(machine)) {}
  ~Draining() { drains_.end(machine_); }
  Draining(const Draining&) = delete;
  Draining& operator=(const Draining&) = delete;

 private:
  Drains& drains_;
  MachineId machine_;
};

// An app's machines that run and that autostop is about.
struct Autostopper::AppView {
  AutostopPolicy policy;
  RegionCode primary;
  std::vector<RunningMachine> running;
  bool draining = false;  // one is on its way to rest already
};

Autostopper::Autostopper(const Context& context) : context_(context), tasks_(context.host.loop) {}

async::Task<void> Autostopper::run() {
  const Duration pause = std::min<Duration>(kAutostopInterval, context_.autostop_idle / 4);
  for (;;) {
    co_await context_.host.loop.sleep(pause);
    look();
  }
}

void Autostopper::look() {
  context_.loads.keep_only(
      [this](const MachineId& id) { return context_.desired.machines().contains(id); });
  note_running();
  for (const auto& [name, app] : apps_that_may_rest()) {
    if (app.draining) continue;
    for (const MachineId& id :
         plan_autostop(app.running, app.policy, app.primary, context_.autostop_idle)) {
      context_.drains.begin(id);
      if (!tasks_.spawn(rest(*this, id, app.policy.autostop))) context_.drains.end(id);
    }
  }
}

// A machine counts as up since we saw it run: after a start of control all begin anew.
void Autostopper::note_running() {
  const MonotonicTime now = context_.host.loop.now();
  std::map<MachineId, MonotonicTime> running;
  for (const MachineId& id : context_.desired.autostop_machines()) {
    const model::Machine& machine = context_.desired.machines().at(id).value;
    if (effective_state(machine, context_.observed.status(id)) != MachineState::started) continue;
    const auto known = up_since_.find(id);
    running[id] = known == up_since_.end() ? now : known->second;
  }
  up_since_ = std::move(running);
}

// Not those of which a deploy is on its way, nor machines that take no requests.
std::map<AppName, Autostopper::AppView> Autostopper::apps_that_may_rest() const {
  std::map<AppName, AppView> apps;
  for (const auto& [id, since] : up_since_) {
    const model::Machine& machine = context_.desired.machines().at(id).value;
    const AutostopPolicy policy = autostop_policy(machine.config);
    if (machine.cordoned) continue;
    const auto app = context_.desired.app(machine.app);
    if (!app || is_deploying(app->value)) continue;
    if (context_.observed.lost(machine.node)) continue;
    if (is_held(lease_of(context_, id), context_.host.clock.wall())) continue;
    AppView& view = apps[machine.app];
    view.policy = policy;
    view.primary = primary_region(app->value);
    view.draining = view.draining || context_.drains.contains(id);
    view.running.push_back({.id = id,
                            .region = machine.region,
                            .in_flight = context_.loads.in_flight(id),
                            .peak = context_.loads.peak(id),
                            .idle = context_.loads.idle(id),
                            .up = context_.host.loop.now() - since});
  }
  return apps;
}

bool Autostopper::is_deploying(const model::App& app) const {
  const auto newest = context_.desired.release(app.name, app.last_release);
  return newest && !is_finished(newest->value.release);
}

RegionCode Autostopper::primary_region(const model::App& app) const {
  const auto release = context_.desired.release(app.name, app.current_release);
  return release ? release->value.region : RegionCode();
}

async::Task<void> Autostopper::rest(Autostopper& self, MachineId machine, model::Autostop kind) {
  const Context& context = self.context_;
  const Draining draining(context.drains, machine);
  async::Loop& loop = context.host.loop;
  const RouteMarks marks = co_await context.sharing.spread();
  const std::optional<bool> quiet =
      co_await async::until(loop, loop.now() + kDrainPatience, self.drained(machine, marks));
  if (quiet == true) {
    context.drains.ordered(machine);
    const Result<void> done = co_await self.order(machine, kind);
    if (!done && done.error().code != Code::conflict)
      log_warning("control", "machine {}: to rest: {}", machine, done.error().context);
  }
}

// False: called off.
async::Task<bool> Autostopper::drained(MachineId machine, RouteMarks marks) {
  while (context_.drains.contains(machine)) {
    if (context_.loads.is_quiet(machine, marks)) co_return true;
    co_await context_.loads.changed().wait();
  }
  co_return false;
}

async::Task<Result<void>> Autostopper::order(MachineId machine, model::Autostop kind) {
  const auto found = context_.desired.machines().find(machine);
  if (found == context_.desired.machines().end()) co_return Result<void>();
  const StoredMachine stored = found->second;
  const bool suspend = kind == model::Autostop::suspend;
  const MachineAction action = suspend ? MachineAction::suspend : MachineAction::stop;
  CO_TRY(const ActionEffect effect,
         judge_action(action, machine, state_of(context_, stored.value)));
  if (effect != ActionEffect::order) co_return Result<void>();
  log_info("control", "machine {} ({}): no requests; it rests", machine, stored.value.app);
  co_return co_await replace(context_, stored,
                             ordered(stored.value, desired_after(action, stored.value.desired),
                                     model::Origin::autostop, context_.host.clock.wall()));
}

}  // namespace perigee::control
