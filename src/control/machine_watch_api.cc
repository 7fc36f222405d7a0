#include "control/machine_watch_api.h"

#include <algorithm>

#include "async/combine.h"
#include "base/text.h"
#include "control/limits.h"
#include "control/machine_calls.h"
#include "control/machine_view.h"
#include "model/json.h"
#include "model/limits.h"

namespace perigee::control {
namespace {

using api::Call;
using api::Reply;
using model::MachineState;

struct Wanted {
  MachineState state = MachineState::started;
  std::string instance_id;
  Duration timeout = kWaitDefault;
};

Result<Wanted> wanted_of(const Call& call) {
  Wanted wanted;
  const std::string state = call.query("state").value_or("started");
  TRY_AS(wanted.state, model::machine_state_from(state), "state");
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

// The event's time, and its place among those of the same millisecond: stays while others go.
std::string event_id(const std::vector<model::MachineEvent>& events, std::size_t index) {
  const std::int64_t ms = events[index].at.unix_ms();
  const auto before =
      std::count_if(events.begin(), events.begin() + static_cast<std::ptrdiff_t>(index),
                    [ms](const model::MachineEvent& each) { return each.at.unix_ms() == ms; });
  return fmt::format("{}-{}", ms, before);
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

void MachineWatchApi::add_routes(api::RouteTable& table, const api::Guard& guard) {
  const std::string one = "/v1/apps/{app}/machines/{machine}";
  table.answer("GET", one + "/wait", guard, [this](Call& call) { return wait(call); });
  table.answer("GET", one + "/events", guard, [this](Call& call) { return events(call); });
  table.answer("GET", one + "/usage", guard, [this](Call& call) { return usage(call); });
}

async::Task<Result<Reply>> MachineWatchApi::wait(Call& call) {
  CO_TRY(const Wanted wanted, wanted_of(call));
  CO_TRY(const StoredMachine machine, machine_of(context_, call));
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

// The newest `limit`, oldest first.
async::Task<Result<Reply>> MachineWatchApi::events(Call& call) {
  CO_TRY(const StoredMachine machine, machine_of(context_, call));
  std::uint64_t limit = model::kMaxMachineEvents;
  if (const auto text = call.query("limit")) {
    const auto parsed = parse_uint(*text, model::kMaxMachineEvents);
    if (!parsed) co_return fail(Code::invalid_argument, "limit: from 0 to {}", limit);
    limit = *parsed;
  }
  json::Value out = json::array();
  const model::MachineStatus* status = context_.observed.status(machine.value.id);
  std::vector<model::MachineEvent> events;
  if (status != nullptr) events = status->events;
  context_.refusals.add_to(events, machine.value.id);
  for (std::size_t i = events.size() - std::min(events.size(), limit); i < events.size(); ++i) {
    json::Value event = model::to_json(events[i]);
    event.set("id", event_id(events, i));
    out.push(std::move(event));
  }
  co_return Reply{200, std::move(out)};
}

async::Task<Result<Reply>> MachineWatchApi::usage(Call& call) {
  CO_TRY(const StoredMachine machine, machine_of(context_, call));
  CO_TRY(json::Value used, co_await context_.worker.usage(at(machine.value)));
  co_return Reply{200, std::move(used)};
}

}  // namespace perigee::control
