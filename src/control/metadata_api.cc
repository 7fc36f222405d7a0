#include "control/metadata_api.h"

#include <algorithm>

#include "control/limits.h"
#include "control/machine_calls.h"
#include "control/machine_frontend.h"

namespace perigee::control {
namespace {

using api::Call;
using api::Reply;

Result<void> check_metadata(const model::StringMap& metadata) {
  std::size_t bytes = 0;
  for (const auto& [key, value] : metadata) bytes += key.size() + value.size();
  if (metadata.size() > kMaxMetadata || bytes > kMaxMetadataBytes)
    return fail(Code::invalid_argument, "metadata: at most {} entries of {} bytes in all",
                kMaxMetadata, kMaxMetadataBytes);
  return {};
}

auto find_key(model::StringMap& metadata, const std::string& key) {
  return std::ranges::find(metadata, key, &model::StringMap::value_type::first);
}

}  // namespace

void MetadataApi::add_routes(api::RouteTable& table, const api::Guard& guard) {
  const std::string all = "/v1/apps/{app}/machines/{machine}/metadata";
  table.answer("GET", all, guard, [this](Call& call) { return show(call); });
  table.answer("POST", all + "/{key}", guard, [this](Call& call) { return set(call); });
  table.answer("DELETE", all + "/{key}", guard, [this](Call& call) { return remove(call); });
}

async::Task<Result<Reply>> MetadataApi::show(Call& call) {
  CO_TRY(const StoredMachine machine, machine_of(context_, call));
  co_return Reply{200, json::string_map(machine.value.config.metadata)};
}

async::Task<Result<Reply>> MetadataApi::set(Call& call) {
  CO_TRY(const Judged judged, machine_for(context_, call, MachineAction::edit));
  CO_TRY(const std::string value, call.body.require_string("value"));
  model::Machine next = judged.machine.value;
  model::StringMap& metadata = next.config.metadata;
  const std::string& key = call.param("key");
  const auto found = find_key(metadata, key);
  if (found == metadata.end()) {
    metadata.emplace_back(key, value);
    std::ranges::sort(metadata);
  } else {
    found->second = value;
  }
  CO_TRY_VOID(check_metadata(metadata));
  next.updated_at = context_.host.clock.wall();
  CO_TRY_VOID(co_await replace(context_, judged.machine, std::move(next)));
  co_return Reply{204, {}};
}

async::Task<Result<Reply>> MetadataApi::remove(Call& call) {
  CO_TRY(const Judged judged, machine_for(context_, call, MachineAction::edit));
  model::Machine next = judged.machine.value;
  const auto found = find_key(next.config.metadata, call.param("key"));
  if (found == next.config.metadata.end())
    co_return fail(Code::not_found, "machine {} has no metadata \"{}\"", next.id,
                   call.param("key"));
  next.config.metadata.erase(found);
  next.updated_at = context_.host.clock.wall();
  CO_TRY_VOID(co_await replace(context_, judged.machine, std::move(next)));
  co_return Reply{204, {}};
}

}  // namespace perigee::control
