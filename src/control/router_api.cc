#include "control/router_api.h"

#include <algorithm>

#include "async/combine.h"
#include "base/log.h"
#include "control/app_api.h"
#include "control/limits.h"
#include "control/machine_calls.h"
#include "control/machine_frontend.h"
#include "control/node_rooms.h"
#include "model/json.h"

namespace perigee::control {
namespace {

using api::Call;
using api::Reply;
using model::MachineState;

bool is_coming(MachineState state) {
  return state == MachineState::starting || state == MachineState::restarting;
}

}  // namespace

void RouterApi::add_routes(api::RouteTable& table) {
  const api::Guard guard = callers_.daemons_and_routers();
  table.answer("POST", "/internal/v1/apps/{app}/wake", guard,
               [this](Call& call) { return wake(call); });
  table.answer("POST", "/internal/v1/routers/{router}/loads", guard,
               [this](Call& call) { return loads(call); });
}

async::Task<Result<Reply>> RouterApi::loads(Call& call) {
  const NodeId router(call.param("router"));
  CO_TRY(const Callers::Hand hand, callers_.hand_of(call.request, router));
  CO_TRY_AS(RouterReport report, router_report_from(call.body), "loads");
  if (hand == Callers::Hand::first) peers_.tell_loads(router, call.body);
  context_.loads.report(router, std::move(report));
  co_return Reply{204, {}};
}

async::Task<Result<Reply>> RouterApi::wake(Call& call) {
  CO_TRY(const AppName app, app_of(call));
  const RegionCode region(call.query("region").value_or(""));
  for (int attempt = 0;; ++attempt) {
    const Result<MachineId> machine = co_await start_one(app, region);
    if (machine) co_return Reply{200, json::object({{"machine", machine->str()}})};
    const bool again = machine.error().code == Code::conflict && attempt < kWakeAttempts;
    if (!again) co_return fail(machine.error());
  }
}

// Where one is on its way already, that one: requests by the thousand make one start.
async::Task<Result<MachineId>> RouterApi::start_one(AppName app, RegionCode region) {
  for (const StoredMachine& each : context_.desired.machines_of(app)) {
    const MachineId& id = each.value.id;
    if (context_.drains.call_off(id)) {
      context_.publisher.refresh();
      co_return id;
    }
    if (const std::optional<NodeId> other = context_.drains.drained_by(id))
      co_return co_await ask_drainer(*other, app, region);
    if (!each.value.cordoned && is_coming(state_of(context_, each.value))) co_return id;
  }
  const std::vector<SleepingMachine> resting = sleeping(app);
  const std::optional<MachineId> id = choose_to_wake(resting, region);
  if (!id) co_return fail(none_to_start(app, resting));
  CO_TRY(const StoredMachine machine, context_.desired.machine(app, *id));
  CO_TRY(const ActionEffect effect,
         judge_action(MachineAction::start, *id, state_of(context_, machine.value)));
  if (effect != ActionEffect::order) co_return *id;
  CO_TRY_VOID(take_turn(app));
  log_info("control", "machine {} ({}): started for a request", *id, app);
  CO_TRY_VOID(co_await replace(context_, machine,
                               ordered(machine.value, model::DesiredState::started,
                                       model::Origin::proxy, context_.host.clock.wall())));
  co_return *id;
}

// Another control has a machine of the app on its way to rest: only it can call that off in time.
async::Task<Result<MachineId>> RouterApi::ask_drainer(NodeId control, AppName app,
                                                      RegionCode region) {
  http::RequestHead head{.method = "POST",
                         .target = fmt::format("/internal/v1/apps/{}/wake?region={}", app, region)};
  CO_TRY(const auto response, co_await peers_.ask(control, std::move(head), {}));
  CO_TRY(const std::string text,
         co_await async::with_deadline(context_.host.loop,
                                       context_.host.loop.deadline_in(kPeerPatience),
                                       http::read_all(response->body(), kMaxPeerAnswer), "wake"));
  CO_TRY(const json::Value answer, json::parse(text));
  if (response->head.status != 200)
    co_return fail(Code::unavailable, "control on {}: {}", control,
                   answer.optional_string("error").value_or("no reason given"));
  CO_TRY(const std::string machine, answer.require_string("machine"));
  co_return MachineId(machine);
}

// Each machine that would have been started, had its node room for it, keeps the reason as an
// event.
Error RouterApi::none_to_start(const AppName& app, const std::vector<SleepingMachine>& all) const {
  if (all.empty())
    return Error::make(Code::not_found,
                       fmt::format("app \"{}\" has no machine that may be started", app));
  for (const SleepingMachine& each : all)
    context_.refusals.note(each.id, each.lack, context_.host.clock.wall());
  log_warning("control", "no machine of {} is started for a request: {}", app, all.front().lack);
  return Error::make(Code::resource_exhausted,
                     fmt::format("there is no room to start a machine of app \"{}\": {}; stop or "
                                 "destroy machines there, or `perigee scale count`",
                                 app, all.front().lack));
}

// A machine whose order to rest is on its way counts once the order is there.
std::vector<SleepingMachine> RouterApi::sleeping(const AppName& app) const {
  std::vector<SleepingMachine> out;
  for (const StoredMachine& each : context_.desired.machines_of(app)) {
    const model::Machine& machine = each.value;
    if (!is_wakeable(machine, context_.observed.status(machine.id))) continue;
    if (context_.observed.lost(machine.node)) continue;
    const std::optional<NodeRoom> room = node_room(context_, machine.node);
    if (!room) continue;
    std::string lack = lack_to_run(*room, machine.config.guest);
    out.push_back({machine.id, machine.region, state_of(context_, machine), std::move(lack)});
  }
  return out;
}

// An app whose machines end at once must not be started without end.
Result<void> RouterApi::take_turn(const AppName& app) {
  const MonotonicTime now = context_.host.loop.now();
  if (allowances_.size() > kMaxApps)
    std::erase_if(allowances_, [&](const auto& each) { return now - each.second.at > 1min; });
  auto [found, fresh] = allowances_.try_emplace(app, Allowance{kWakeBurst, now});
  Allowance& allowance = found->second;
  allowance.left = std::min<double>(
      kWakeBurst, allowance.left + to_seconds(now - allowance.at) * kWakesPerSecond);
  allowance.at = now;
  if (allowance.left < 1)
    return fail(Code::resource_exhausted,
                "its machines were started for requests {} times in a short time; see `perigee "
                "logs -a {}` for why they end",
                kWakeBurst, app);
  allowance.left -= 1;
  return {};
}

}  // namespace perigee::control
