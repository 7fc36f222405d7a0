#include "control/machine_api.h"

#include <algorithm>

#include "base/text.h"
#include "control/app_api.h"
#include "control/limits.h"
#include "control/machine_calls.h"
#include "control/machine_frontend.h"
#include "control/port_claims.h"
#include "control/registry_logins.h"
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

constexpr std::string_view kMetadata = "metadata.";

// The query's region, state and metadata.KEY, as pairs.
model::StringMap filters_of(const Call& call) {
  model::StringMap out;
  const auto query = split_once(call.request.head.target, '?');
  for (const std::string_view part : split(query ? query->second : std::string_view(), '&')) {
    const auto pair = split_once(part, '=');
    if (!pair || pair->second.empty()) continue;
    const std::string name = http::percent_decode(pair->first);
    const bool known = name == "region" || name == "state" || name.starts_with(kMetadata);
    if (known) out.emplace_back(name, http::percent_decode(pair->second));
  }
  return out;
}

bool matches(const Context& context, const model::Machine& machine,
             const model::StringMap& wanted) {
  return std::ranges::all_of(wanted, [&](const auto& filter) {
    const auto& [name, value] = filter;
    if (name == "region") return machine.region.str() == value;
    if (name == "state") return model::name(state_of(context, machine)) == value;
    const std::pair entry(name.substr(kMetadata.size()), value);
    return std::ranges::count(machine.config.metadata, entry) > 0;
  });
}

// Expects the app as it is, and changes what it has claimed where that is due.
Result<void> claim_ports_of(const Context& context, store::Transaction& transaction,
                            const AppName& name, const model::MachineConfig& config) {
  TRY(const Stored<model::App> known, context.desired.app(name));
  model::App app = known.value;
  TRY_VOID(claim_ports(context, transaction, app, config.services));
  if (app == known.value) {
    transaction.expect(app_key(name), known.revision);
  } else {
    put(transaction, app, known.revision);
  }
  return {};
}

// The versions that a machine had, with the present one that another takes the place of.
VersionsRecord with_present(const Context& context, const model::Machine& machine) {
  VersionsRecord record;
  const auto found = context.desired.versions().find(machine.id);
  if (found != context.desired.versions().end()) record = found->second.value;
  if (record.versions.size() >= kKeptVersions) record.versions.erase(record.versions.begin());
  record.versions.push_back({machine.instance_id, machine.config, context.host.clock.wall()});
  return record;
}

}  // namespace

void MachineApi::add_routes(api::RouteTable& table, const api::Guard& guard) {
  const std::string all = "/v1/apps/{app}/machines";
  const std::string one = all + "/{machine}";
  table.answer("GET", all, guard, [this](Call& call) { return list(call); });
  table.answer("POST", all, guard, [this](Call& call) { return create(call); });
  table.answer("GET", one, guard, [this](Call& call) { return show(call); });
  table.answer("POST", one, guard, [this](Call& call) { return update(call); });
  table.answer("GET", one + "/versions", guard, [this](Call& call) { return versions(call); });
}

// Oldest first; `include_deleted` shows those on their way out as well.
async::Task<Result<Reply>> MachineApi::list(Call& call) {
  CO_TRY(const AppName app, app_of(call));
  CO_TRY([[maybe_unused]] const auto known, context_.desired.app(app));
  const model::StringMap wanted = filters_of(call);
  std::vector<StoredMachine> machines = context_.desired.machines_of(app);
  for (const auto& [id, each] : context_.desired.machines()) {
    const bool going = each.value.desired == DesiredState::destroyed;
    if (call.flag("include_deleted") && going && each.value.app == app) machines.push_back(each);
  }
  json::Value out = json::array();
  for (const StoredMachine& each : machines) {
    if (matches(context_, each.value, wanted)) out.push(view_of(context_, each.value));
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
  CO_TRY(wanted.image, co_await resolve_image(context_, wanted.config.image));
  CO_TRY(wanted.node, node_of(context_, app, wanted.config.mounts));
  CO_TRY(const model::Machine machine, make_machine(context_, std::move(wanted), {}));
  store::Transaction transaction;
  CO_TRY_VOID(claim_ports_of(context_, transaction, app, machine.config));
  put(transaction, machine, 0);
  CO_TRY_VOID(attach(context_, transaction, machine));
  CO_TRY_VOID(co_await context_.commit(std::move(transaction)));
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
  CO_TRY(model::ImageRef image, co_await resolve_image(context_, config.image));
  CO_TRY_VOID(check_update(machine.value, config));
  model::Machine next = updated(machine.value, std::move(config), std::move(image), context_.host);
  next.secrets = sealed_secrets(context_, next.app);
  if (!skip_launch) next.desired = DesiredState::started;
  store::Transaction transaction;
  CO_TRY_VOID(claim_ports_of(context_, transaction, next.app, next.config));
  put(transaction, next, machine.revision);
  transaction.put(versions_key(next.id), to_json(with_present(context_, machine.value)).dump());
  CO_TRY_VOID(co_await context_.commit(std::move(transaction)));
  co_return Reply{200, view_of(context_, next)};
}

// Newest first, the present one before all.
async::Task<Result<Reply>> MachineApi::versions(Call& call) {
  CO_TRY(const StoredMachine machine, machine_of(context_, call));
  VersionsRecord record = with_present(context_, machine.value);
  std::ranges::reverse(record.versions);
  json::Value out = json::array();
  for (const VersionsRecord::Version& each : record.versions) {
    out.push(json::object(
        {{"version", each.instance_id}, {"user_config", model::to_json(each.config)}}));
  }
  co_return Reply{200, std::move(out)};
}

}  // namespace perigee::control
