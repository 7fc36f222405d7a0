#include "control/lease_api.h"

#include <algorithm>

#include "base/text.h"
#include "control/limits.h"
#include "control/machine_calls.h"

namespace perigee::control {
namespace {

using api::Call;
using api::Reply;

constexpr std::size_t kNonceBytes = 8;
constexpr std::string_view kOwner = "the API's token";
constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;

json::Value answer(const LeaseRecord& lease) {
  return json::object(
      {{"status", "success"},
       {"data", json::object({{"nonce", lease.nonce},
                              {"expires_at", lease.expires_at.ns / kNanosecondsPerSecond},
                              {"owner", lease.owner},
                              {"description", lease.description},
                              {"version", lease.version}})}});
}

// From the query, else from the body: seconds, or a duration such as "2m".
Result<Duration> ttl_of(const Call& call) {
  std::string text = call.query("ttl").value_or("");
  const json::Value* member = call.body.is_object() ? call.body.find("ttl") : nullptr;
  if (text.empty() && member != nullptr) {
    const auto seconds = member->integer();
    text = seconds ? std::to_string(*seconds) : call.body.optional_string("ttl").value_or("?");
  }
  if (text.empty()) return kLeaseDefault;
  TRY_AS(const Duration ttl, parse_duration(text), "ttl");
  if (ttl < 1s || ttl > kLeaseMax)
    return fail(Code::invalid_argument, "ttl: from 1 to {} seconds", to_ms(kLeaseMax) / 1000);
  return ttl;
}

Result<std::string> description_of(const Call& call) {
  if (!call.body.is_object()) return std::string();
  TRY(std::string text, call.body.optional_string("description"));
  if (text.size() > kMaxDescription)
    return fail(Code::invalid_argument, "description: more than {} bytes", kMaxDescription);
  return text;
}

}  // namespace

bool is_held(const LeaseRecord* lease, WallTime now) {
  return lease != nullptr && now < lease->expires_at;
}

std::string describe(const LeaseRecord& lease) {
  return fmt::format("leased by {}{} until {}", lease.owner,
                     lease.description.empty() ? "" : fmt::format(" ({})", lease.description),
                     to_rfc3339(lease.expires_at));
}

std::string lease_in_the_way(const Context& context, const MachineId& machine) {
  const LeaseRecord* lease = lease_of(context, machine);
  return is_held(lease, context.host.clock.wall()) ? describe(*lease) : std::string();
}

void expect_same_lease(const Context& context, store::Transaction& transaction,
                       const MachineId& machine) {
  const auto found = context.desired.leases().find(machine);
  const bool known = found != context.desired.leases().end();
  transaction.expect(lease_key(machine), known ? found->second.revision : 0);
}

Result<void> check_leases_of(const Context& context, const AppName& app, const std::string& nonce) {
  const WallTime now = context.host.clock.wall();
  for (const StoredMachine& stored : context.desired.machines_of(app)) {
    const LeaseRecord* lease = lease_of(context, stored.value.id);
    if (!is_held(lease, now)) continue;
    TRY_VOID_AS(check_lease(lease, stored.value.id, nonce, now), "a deploy would replace it");
  }
  return {};
}

Result<void> check_no_deploy(const Context& context, const AppName& app) {
  const auto stored = context.desired.app(app);
  if (!stored) return {};
  const auto newest = context.desired.release(app, stored->value.last_release);
  if (!newest || is_finished(newest->value.release)) return {};
  return fail(Code::conflict, "app \"{}\" is being deployed (v{}): wait for that to end", app,
              stored->value.last_release);
}

std::string lease_nonce(const Call& call) {
  for (const char* name : {"perigee-machine-lease-nonce", "fly-machine-lease-nonce"}) {
    if (const std::string_view* value = call.request.head.headers.find(name))
      return std::string(*value);
  }
  return {};
}

Result<void> check_lease(const LeaseRecord* lease, const MachineId& machine,
                         const std::string& nonce, WallTime now) {
  if (!is_held(lease, now)) {
    if (nonce.empty()) return {};
    return fail(Code::conflict, "machine {} has no lease now: the one with this nonce has ended",
                machine);
  }
  if (nonce == lease->nonce) return {};
  return fail(Code::conflict,
              "machine {} is {}; wait for that, or give the lease's nonce in "
              "perigee-machine-lease-nonce",
              machine, describe(*lease));
}

void LeaseApi::add_routes(api::RouteTable& table, const api::Guard& guard) {
  const std::string path = "/v1/apps/{app}/machines/{machine}/lease";
  table.answer("GET", path, guard, [this](Call& call) { return show(call); });
  table.answer("POST", path, guard, [this](Call& call) { return acquire(call); });
  table.answer("DELETE", path, guard, [this](Call& call) { return release(call); });
}

async::Task<Result<Reply>> LeaseApi::show(Call& call) {
  CO_TRY(const StoredMachine machine, machine_of(context_, call));
  const auto found = context_.desired.leases().find(machine.value.id);
  const bool there = found != context_.desired.leases().end() &&
                     is_held(&found->second.value, context_.host.clock.wall());
  if (!there) co_return fail(Code::not_found, "machine {} has no lease", machine.value.id);
  co_return Reply{200, answer(found->second.value)};
}

// With the nonce of the lease that there is: makes it longer.
async::Task<Result<Reply>> LeaseApi::acquire(Call& call) {
  CO_TRY(const Judged judged, machine_for(context_, call, MachineAction::edit));
  const model::Machine& machine = judged.machine.value;
  CO_TRY_VOID(check_no_deploy(context_, machine.app));
  CO_TRY(const Duration ttl, ttl_of(call));
  const auto found = context_.desired.leases().find(machine.id);
  const bool known = found != context_.desired.leases().end();
  LeaseRecord lease;
  if (!lease_nonce(call).empty()) lease = found->second.value;
  if (lease.nonce.empty()) lease.nonce = sys::random_hex(context_.host.entropy, kNonceBytes);
  CO_TRY(const std::string description, description_of(call));
  if (!description.empty()) lease.description = description;
  lease.owner = kOwner;
  lease.version = machine.instance_id;
  lease.expires_at = context_.host.clock.wall() + ttl;
  store::Transaction transaction;
  transaction.expect(machine_key(machine.id), judged.machine.revision);
  transaction.expect(lease_key(machine.id), known ? found->second.revision : 0);
  transaction.put(lease_key(machine.id), to_json(lease).dump());
  CO_TRY_VOID(co_await context_.commit(std::move(transaction)));
  co_return Reply{200, answer(lease)};
}

async::Task<Result<Reply>> LeaseApi::release(Call& call) {
  CO_TRY(const StoredMachine machine, machine_of(context_, call));
  const MachineId id = machine.value.id;
  const auto found = context_.desired.leases().find(id);
  const WallTime now = context_.host.clock.wall();
  if (found == context_.desired.leases().end() || !is_held(&found->second.value, now))
    co_return fail(Code::not_found, "machine {} has no lease", id);
  CO_TRY_VOID(check_lease(&found->second.value, id, lease_nonce(call), now));
  store::Transaction transaction;
  transaction.expect(lease_key(id), found->second.revision);
  transaction.remove(lease_key(id));
  CO_TRY_VOID(co_await context_.commit(std::move(transaction)));
  co_return Reply{200, json::object({{"status", "success"}})};
}

}  // namespace perigee::control
