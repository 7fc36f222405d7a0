#include "control/machine_order_api.h"

#include "control/machine_frontend.h"
#include "model/json.h"

namespace perigee::control {
namespace {

using api::Call;
using api::Reply;

// `signal` and `timeout` of a stop's body; nothing where it has neither.
Result<std::optional<model::StopConfig>> stop_in(const json::Value& body,
                                                 const model::StopConfig& usual) {
  if (body.is_null()) return std::nullopt;
  if (!body.is_object()) return fail(Code::invalid_argument, "the body: expected an object");
  TRY(model::StopConfig asked, model::stop_config_from(body, usual));
  return asked == usual ? std::nullopt : std::optional(std::move(asked));
}

// A restart's are query parameters; `force_stop` kills what runs.
Result<std::optional<model::StopConfig>> stop_of_restart(const Call& call,
                                                         const model::StopConfig& usual) {
  if (call.flag("force_stop")) return model::StopConfig{.signal = "SIGKILL", .timeout = 0s};
  json::Value asked = json::object();
  for (const char* key : {"signal", "timeout"}) {
    if (const auto text = call.query(key); text && !text->empty()) asked.set(key, *text);
  }
  return stop_in(asked, usual);
}

}  // namespace

void MachineOrderApi::add_routes(api::RouteTable& table, const api::Guard& guard) {
  const std::string one = "/v1/apps/{app}/machines/{machine}";
  table.answer("DELETE", one, guard, [this](Call& call) { return destroy(call); });
  table.answer("POST", one + "/start", guard, [this](Call& call) { return start(call); });
  table.answer("POST", one + "/stop", guard, [this](Call& call) { return stop(call); });
  table.answer("POST", one + "/suspend", guard, [this](Call& call) { return suspend(call); });
  table.answer("POST", one + "/restart", guard, [this](Call& call) { return restart(call); });
  table.answer("POST", one + "/cordon", guard, [this](Call& call) { return cordon(call, true); });
  table.answer("POST", one + "/uncordon", guard,
               [this](Call& call) { return cordon(call, false); });
}

async::Task<Result<Reply>> MachineOrderApi::start(Call& call) {
  CO_TRY(const Judged judged, machine_for(context_, call, MachineAction::start));
  const model::MachineState before = state_of(context_, judged.machine.value);
  if (judged.effect == ActionEffect::order) {
    const WallTime now = context_.host.clock.wall();
    CO_TRY_VOID(co_await replace(context_, judged.machine, started(judged.machine.value, now)));
  }
  co_return Reply{
      200, json::object(
               {{"previous_state", model::name(before)}, {"migrated", false}, {"new_host", ""}})};
}

async::Task<Result<Reply>> MachineOrderApi::stop(Call& call) {
  CO_TRY(const Judged judged, machine_for(context_, call, MachineAction::stop));
  model::Machine next = stopped(judged.machine.value, context_.host.clock.wall());
  CO_TRY(next.stop_override, stop_in(call.body, next.config.stop));
  CO_TRY_VOID(co_await replace(context_, judged.machine, std::move(next)));
  co_return Reply{200, ok()};
}

async::Task<Result<Reply>> MachineOrderApi::suspend(Call& call) {
  CO_TRY(const Judged judged, machine_for(context_, call, MachineAction::suspend));
  if (judged.effect == ActionEffect::order) {
    const WallTime now = context_.host.clock.wall();
    CO_TRY_VOID(co_await replace(context_, judged.machine, suspended(judged.machine.value, now)));
  }
  co_return Reply{200, ok()};
}

async::Task<Result<Reply>> MachineOrderApi::restart(Call& call) {
  CO_TRY(const Judged judged, machine_for(context_, call, MachineAction::restart));
  model::Machine next = restarted(judged.machine.value, context_.host);
  CO_TRY(next.stop_override, stop_of_restart(call, next.config.stop));
  CO_TRY_VOID(co_await replace(context_, judged.machine, std::move(next)));
  co_return Reply{200, ok()};
}

async::Task<Result<Reply>> MachineOrderApi::destroy(Call& call) {
  const bool force = call.flag("force") || call.flag("kill");
  const MachineAction action = force ? MachineAction::force_destroy : MachineAction::destroy;
  CO_TRY(const Judged judged, machine_for(context_, call, action));
  if (judged.effect == ActionEffect::order) {
    const WallTime now = context_.host.clock.wall();
    CO_TRY_VOID(co_await replace(context_, judged.machine, destroyed(judged.machine.value, now)));
  }
  co_return Reply{200, ok()};
}

async::Task<Result<Reply>> MachineOrderApi::cordon(Call& call, bool cordoned) {
  CO_TRY(const Judged judged, machine_for(context_, call, MachineAction::edit));
  model::Machine next = judged.machine.value;
  next.cordoned = cordoned;
  next.updated_at = context_.host.clock.wall();
  CO_TRY_VOID(co_await replace(context_, judged.machine, std::move(next)));
  co_return Reply{200, ok()};
}

}  // namespace perigee::control
