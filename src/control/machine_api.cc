#include "control/machine_api.h"

#include <algorithm>

#include "async/combine.h"
#include "base/text.h"
#include "control/app_api.h"
#include "control/limits.h"
#include "control/machine_frontend.h"
#include "control/machine_view.h"
#include "model/json.h"

namespace perigee::control {
namespace {

using api::Call;
using api::Reply;
using model::DesiredState;
using model::MachineState;

json::Value ok() {
  return json::object({{"ok", true}});
}

Result<model::MachineConfig> config_in(const json::Value& body) {
  const json::Value* config = body.find("config");
  if (config == nullptr) return fail(Code::invalid_argument, "config: missing");
  TRY_AS(model::MachineConfig parsed, model::machine_config_from(*config), "config");
  if (parsed.image.empty()) return fail(Code::invalid_argument, "config.image: missing");
  return parsed;
}

Result<RegionCode> region_in(const json::Value& body) {
  TRY(const std::string text, body.optional_string("region"));
  if (text.empty()) return RegionCode();
  TRY_AS(RegionCode region, model::parse_region(text), "region");
  return region;
}

struct Wanted {
  MachineState state = MachineState::started;
  std::string instance_id;
  Duration timeout = kWaitDefault;
};

Result<Wanted> wanted_of(const Call& call) {
  Wanted wanted;
  const std::string state = call.query("state").value_or("started");
  TRY_AS(wanted.state, model::machine_state_from(state), "state");
  constexpr std::array kStates{MachineState::started, MachineState::stopped,
                               MachineState::suspended, MachineState::destroyed};
  if (std::ranges::count(kStates, wanted.state) == 0)
    return fail(Code::invalid_argument,
                "state: \"{}\" is not one of started, stopped, suspended, destroyed", state);
  wanted.instance_id = call.query("instance_id").value_or("");
  if (const auto text = call.query("timeout"); text && !text->empty()) {
    TRY_AS(wanted.timeout, parse_duration(*text), "timeout");
    if (wanted.timeout < 1s || wanted.timeout > kWaitMax)
      return fail(Code::invalid_argument, "timeout: from 1 to {} seconds", to_ms(kWaitMax) / 1000);
  }
  return wanted;
}

bool is_there(const Context& context, const MachineId& id, const Wanted& wanted) {
  const auto found = context.desired.machines().find(id);
  // Its key goes away once its worker has removed it.
  if (found == context.desired.machines().end()) return wanted.state == MachineState::destroyed;
  const model::MachineStatus* status = context.observed.status(id);
  if (effective_state(found->second.value, status) != wanted.state) return false;
  return wanted.instance_id.empty() ||
         (status != nullptr && status->instance_id == wanted.instance_id);
}

// Completes when the machine is as wanted, or gone for good.
async::Task<bool> reach(const Context& context, MachineId id, Wanted wanted) {
  while (!is_there(context, id, wanted)) {
    if (!context.desired.machines().contains(id)) co_return false;
    co_await context.changed.wait();
  }
  co_return true;
}

}  // namespace

void MachineApi::add_routes(api::RouteTable& table, const api::Guard& guard) {
  const std::string all = "/v1/apps/{app}/machines";
  const std::string one = all + "/{machine}";
  table.answer("GET", all, guard, [this](Call& call) { return list(call); });
  table.answer("POST", all, guard, [this](Call& call) { return create(call); });
  table.answer("GET", one, guard, [this](Call& call) { return show(call); });
  table.answer("POST", one, guard, [this](Call& call) { return update(call); });
  table.answer("DELETE", one, guard, [this](Call& call) { return destroy(call); });
  table.answer("POST", one + "/start", guard, [this](Call& call) { return start(call); });
  table.answer("POST", one + "/stop", guard, [this](Call& call) { return stop(call); });
  table.answer("POST", one + "/suspend", guard, [this](Call& call) { return suspend(call); });
  table.answer("POST", one + "/restart", guard, [this](Call& call) { return restart(call); });
  table.answer("POST", one + "/cordon", guard, [this](Call& call) { return cordon(call, true); });
  table.answer("POST", one + "/uncordon", guard,
               [this](Call& call) { return cordon(call, false); });
  table.answer("GET", one + "/wait", guard, [this](Call& call) { return wait(call); });
  table.answer("GET", one + "/events", guard, [this](Call& call) { return events(call); });
}

Result<MachineApi::Machine> MachineApi::find(const Call& call) const {
  TRY(const AppName app, app_of(call));
  // Machines outlive their app by the time that their removal takes.
  const MachineId id(call.param("machine"));
  if (!context_.desired.machines().contains(id)) {
    TRY([[maybe_unused]] const auto known, context_.desired.app(app));
  }
  return context_.desired.machine(app, id);
}

json::Value MachineApi::view(const model::Machine& machine) const {
  return machine_view(machine, context_.observed.status(machine.id));
}

async::Task<Result<Reply>> MachineApi::list(Call& call) {
  CO_TRY(const AppName app, app_of(call));
  CO_TRY([[maybe_unused]] const auto known, context_.desired.app(app));
  const std::string region = call.query("region").value_or("");
  json::Value out = json::array();
  for (const Machine& each : context_.desired.machines_of(app)) {
    if (region.empty() || each.value.region.str() == region) out.push(view(each.value));
  }
  co_return Reply{200, std::move(out)};
}

async::Task<Result<Reply>> MachineApi::create(Call& call) {
  CO_TRY(const AppName app, app_of(call));
  CO_TRY([[maybe_unused]] const auto exists, context_.desired.app(app));
  NewMachine wanted{.app = app};
  CO_TRY(wanted.config, config_in(call.body));
  CO_TRY(wanted.region, region_in(call.body));
  CO_TRY(wanted.name, call.body.optional_string("name"));
  CO_TRY(const bool skip_launch, call.body.optional_bool("skip_launch", false));
  CO_TRY(wanted.cordoned, call.body.optional_bool("skip_service_registration", false));
  if (skip_launch) wanted.desired = DesiredState::stopped;
  CO_TRY(wanted.image, co_await context_.images.resolve(wanted.config.image));
  CO_TRY(const model::Machine machine, make_machine(context_, std::move(wanted), {}));
  CO_TRY(const auto known, context_.desired.app(app));
  store::Transaction transaction;
  transaction.expect(app_key(app), known.revision);
  put(transaction, machine, 0);
  CO_TRY_VOID(co_await context_.desired.commit(std::move(transaction)));
  co_return Reply{200, view(machine)};
}

async::Task<Result<Reply>> MachineApi::show(Call& call) {
  CO_TRY(const Machine machine, find(call));
  co_return Reply{200, view(machine.value)};
}

async::Task<Result<Reply>> MachineApi::update(Call& call) {
  CO_TRY(Machine machine, find(call));
  if (machine.value.desired == DesiredState::destroyed)
    co_return fail(Code::conflict, "machine {} is being destroyed", machine.value.id);
  CO_TRY(model::MachineConfig config, config_in(call.body));
  CO_TRY(const std::string current, call.body.optional_string("current_version"));
  if (!current.empty() && current != machine.value.instance_id)
    co_return fail(Code::conflict, "current_version: machine {} is at {}", machine.value.id,
                   machine.value.instance_id);
  CO_TRY(const bool skip_launch, call.body.optional_bool("skip_launch", false));
  CO_TRY(model::ImageRef image, co_await context_.images.resolve(config.image));
  model::Machine next = updated(machine.value, std::move(config), std::move(image), context_.host);
  if (!skip_launch) next.desired = DesiredState::started;
  CO_TRY_VOID(co_await replace(context_, machine, next));
  co_return Reply{200, view(next)};
}

async::Task<Result<Reply>> MachineApi::destroy(Call& call) {
  CO_TRY(const Machine machine, find(call));
  const MachineState state =
      effective_state(machine.value, context_.observed.status(machine.value.id));
  const bool force = call.flag("force") || call.flag("kill");
  if (state == MachineState::started && !force)
    co_return fail(Code::conflict,
                   "machine {} is started; stop it first, or destroy it with "
                   "force=true",
                   machine.value.id);
  if (machine.value.desired != DesiredState::destroyed) {
    const WallTime now = context_.host.clock.wall();
    CO_TRY_VOID(co_await replace(context_, machine, destroyed(machine.value, now)));
  }
  co_return Reply{200, ok()};
}

async::Task<Result<Reply>> MachineApi::start(Call& call) {
  CO_TRY(const Machine machine, find(call));
  if (machine.value.desired == DesiredState::destroyed)
    co_return fail(Code::conflict, "machine {} is being destroyed", machine.value.id);
  const MachineState before =
      effective_state(machine.value, context_.observed.status(machine.value.id));
  if (before != MachineState::started) {
    const WallTime now = context_.host.clock.wall();
    CO_TRY_VOID(co_await replace(context_, machine, started(machine.value, now)));
  }
  co_return Reply{
      200, json::object(
               {{"previous_state", model::name(before)}, {"migrated", false}, {"new_host", ""}})};
}

async::Task<Result<Reply>> MachineApi::stop(Call& call) {
  CO_TRY(const Machine machine, find(call));
  if (machine.value.desired == DesiredState::destroyed)
    co_return fail(Code::conflict, "machine {} is being destroyed", machine.value.id);
  for (const char* key : {"signal", "timeout"}) {
    if (call.body.find(key) != nullptr)
      co_return fail(Code::unsupported,
                     "{}: not yet supported here; set stop_config in the "
                     "machine's configuration",
                     key);
  }
  const WallTime now = context_.host.clock.wall();
  CO_TRY_VOID(co_await replace(context_, machine, stopped(machine.value, now)));
  co_return Reply{200, ok()};
}

async::Task<Result<Reply>> MachineApi::suspend(Call& call) {
  CO_TRY(const Machine machine, find(call));
  const MachineState state =
      effective_state(machine.value, context_.observed.status(machine.value.id));
  if (state == MachineState::suspended || state == MachineState::suspending)
    co_return Reply{200, ok()};
  if (state != MachineState::started)
    co_return fail(Code::conflict, "machine {} is {}: only one that is started can be suspended",
                   machine.value.id, model::name(state));
  const WallTime now = context_.host.clock.wall();
  CO_TRY_VOID(co_await replace(context_, machine, suspended(machine.value, now)));
  co_return Reply{200, ok()};
}

async::Task<Result<Reply>> MachineApi::restart(Call& call) {
  CO_TRY(const Machine machine, find(call));
  if (machine.value.desired == DesiredState::destroyed)
    co_return fail(Code::conflict, "machine {} is being destroyed", machine.value.id);
  CO_TRY_VOID(co_await replace(context_, machine, restarted(machine.value, context_.host)));
  co_return Reply{200, ok()};
}

async::Task<Result<Reply>> MachineApi::cordon(Call& call, bool cordoned) {
  CO_TRY(const Machine machine, find(call));
  model::Machine next = machine.value;
  next.cordoned = cordoned;
  next.updated_at = context_.host.clock.wall();
  CO_TRY_VOID(co_await replace(context_, machine, std::move(next)));
  co_return Reply{200, ok()};
}

async::Task<Result<Reply>> MachineApi::wait(Call& call) {
  CO_TRY(const Wanted wanted, wanted_of(call));
  CO_TRY(const Machine machine, find(call));
  const MachineId id = machine.value.id;
  const MonotonicTime until = context_.host.loop.now() + wanted.timeout;
  const std::optional<bool> reached =
      co_await async::until(context_.host.loop, until, reach(context_, id, wanted));
  if (reached == true) co_return Reply{200, ok()};
  if (reached == false) co_return fail(Code::not_found, "machine {} was destroyed meanwhile", id);
  const auto now = context_.desired.machines().find(id);
  const std::string_view state =
      now == context_.desired.machines().end()
          ? "destroyed"
          : model::name(effective_state(now->second.value, context_.observed.status(id)));
  co_return fail(Code::deadline_exceeded, "machine {} is {}, not {}, after {} s", id, state,
                 model::name(wanted.state), to_ms(wanted.timeout) / 1000);
}

async::Task<Result<Reply>> MachineApi::events(Call& call) {
  CO_TRY(const Machine machine, find(call));
  json::Value out = json::array();
  if (const model::MachineStatus* status = context_.observed.status(machine.value.id)) {
    for (const model::MachineEvent& event : status->events) out.push(model::to_json(event));
  }
  co_return Reply{200, std::move(out)};
}

}  // namespace perigee::control
