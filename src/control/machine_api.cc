#include "control/machine_api.h"

#include "control/app_api.h"
#include "control/machine_calls.h"
#include "control/machine_frontend.h"
#include "control/volume_frontend.h"
#include "model/json.h"

namespace perigee::control {
namespace {

using api::Call;
using api::Reply;
using model::DesiredState;

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

}  // namespace

void MachineApi::add_routes(api::RouteTable& table, const api::Guard& guard) {
  const std::string all = "/v1/apps/{app}/machines";
  const std::string one = all + "/{machine}";
  table.answer("GET", all, guard, [this](Call& call) { return list(call); });
  table.answer("POST", all, guard, [this](Call& call) { return create(call); });
  table.answer("GET", one, guard, [this](Call& call) { return show(call); });
  table.answer("POST", one, guard, [this](Call& call) { return update(call); });
}

async::Task<Result<Reply>> MachineApi::list(Call& call) {
  CO_TRY(const AppName app, app_of(call));
  CO_TRY([[maybe_unused]] const auto known, context_.desired.app(app));
  const std::string region = call.query("region").value_or("");
  json::Value out = json::array();
  for (const StoredMachine& each : context_.desired.machines_of(app)) {
    if (region.empty() || each.value.region.str() == region)
      out.push(view_of(context_, each.value));
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
  CO_TRY(wanted.node, node_of(context_, app, wanted.config.mounts));
  CO_TRY(const model::Machine machine, make_machine(context_, std::move(wanted), {}));
  CO_TRY(const auto known, context_.desired.app(app));
  store::Transaction transaction;
  transaction.expect(app_key(app), known.revision);
  put(transaction, machine, 0);
  CO_TRY_VOID(attach(context_, transaction, machine));
  CO_TRY_VOID(co_await context_.desired.commit(std::move(transaction)));
  co_return Reply{200, view_of(context_, machine)};
}

async::Task<Result<Reply>> MachineApi::show(Call& call) {
  CO_TRY(const StoredMachine machine, machine_of(context_, call));
  co_return Reply{200, view_of(context_, machine.value)};
}

async::Task<Result<Reply>> MachineApi::update(Call& call) {
  CO_TRY(const Judged judged, machine_for(context_, call, MachineAction::update));
  const StoredMachine& machine = judged.machine;
  CO_TRY(model::MachineConfig config, config_in(call.body));
  CO_TRY(const std::string current, call.body.optional_string("current_version"));
  if (!current.empty() && current != machine.value.instance_id)
    co_return fail(Code::conflict, "current_version: machine {} is at {}", machine.value.id,
                   machine.value.instance_id);
  CO_TRY(const bool skip_launch, call.body.optional_bool("skip_launch", false));
  CO_TRY(model::ImageRef image, co_await context_.images.resolve(config.image));
  CO_TRY_VOID(check_update(machine.value, config));
  model::Machine next = updated(machine.value, std::move(config), std::move(image), context_.host);
  next.secrets = sealed_secrets(context_, next.app);
  if (!skip_launch) next.desired = DesiredState::started;
  CO_TRY_VOID(co_await replace(context_, machine, next));
  co_return Reply{200, view_of(context_, next)};
}

}  // namespace perigee::control
