#include "control/scale_api.h"

#include <algorithm>

#include "control/app_api.h"
#include "control/scale_change.h"
#include "geo/regions.h"
#include "model/json.h"
#include "model/limits.h"

namespace perigee::control {
namespace {

using api::Call;
using api::Reply;

// What the nodes of one region add up to.
struct RegionSum {
  int nodes = 0;
  int ready = 0;
  int machines = 0;
  std::int64_t memory_mib = 0;
  std::int64_t free_mib = 0;
};

json::Value region_view(const RegionCode& code, const RegionSum& sum) {
  json::Value out = json::object({{"code", code.str()}});
  if (const geo::Region* known = geo::find_region(code.str())) {
    out.set("city", known->city);
    out.set("latitude", known->place.latitude);
    out.set("longitude", known->place.longitude);
  }
  out.set("nodes", sum.nodes);
  out.set("nodes_ready", sum.ready);
  out.set("machines", sum.machines);
  out.set("memory_mib", sum.memory_mib);
  out.set("memory_unused_mib", sum.free_mib);
  return out;
}

json::Value names(const std::vector<RegionCode>& regions) {
  json::Value out = json::array();
  for (const RegionCode& region : regions) out.push(region.str());
  return out;
}

Result<std::optional<int>> count_in(const json::Value& body) {
  const json::Value* count = body.find("count");
  if (count == nullptr || count->is_null()) return std::optional<int>();
  const auto number = count->integer();
  if (!number || *number < 0 || *number > model::kMaxScale)
    return fail(Code::invalid_argument, "count: from 0 to {}, or null for one in each region",
                model::kMaxScale);
  return std::optional(static_cast<int>(*number));
}

}  // namespace

void ScaleApi::add_routes(api::RouteTable& table, const api::Guard& guard) {
  const std::string regions = "/v1/apps/{app}/regions";
  const std::string scale = "/v1/apps/{app}/scale";
  table.answer("GET", "/v1/regions", guard, [this](Call&) { return list_regions(); });
  table.answer("GET", regions, guard, [this](Call& call) { return show_regions(call); });
  table.answer("PUT", regions, guard, [this](Call& call) { return set_regions(call); });
  table.answer("POST", regions, guard, [this](Call& call) { return change_regions(call); });
  table.answer("GET", scale, guard, [this](Call& call) { return show_scale(call); });
  table.answer("POST", scale, guard, [this](Call& call) { return set_scale(call); });
}

async::Task<Result<Reply>> ScaleApi::list_regions() {
  std::map<RegionCode, RegionSum> sums;
  for (const auto& [id, stored] : context_.desired.nodes()) ++sums[stored.value.region].nodes;
  for (const NodeRoom& room : node_rooms(context_, {}, {}, {})) {
    RegionSum& sum = sums[room.region];
    sum.ready += room.state == NodeRoom::State::ready ? 1 : 0;
    sum.machines += room.machines;
    sum.memory_mib += room.memory_mib;
    if (room.state == NodeRoom::State::ready)
      sum.free_mib += std::max<std::int64_t>(0, room.memory_mib - room.used_mib);
  }
  json::Value out = json::array();
  for (const auto& [code, sum] : sums) out.push(region_view(code, sum));
  co_return Reply{200, json::object({{"regions", std::move(out)}})};
}

// Regions of the fleet: a code that no node has is a mistake, or too early.
Result<std::vector<RegionCode>> ScaleApi::regions_in(const json::Value& body,
                                                     std::string_view key) const {
  TRY(const std::vector<std::string> texts, body.optional_strings(key));
  std::vector<RegionCode> out;
  for (const std::string& text : texts) {
    TRY_AS(const RegionCode region, model::parse_region(text), key);
    const bool known = std::ranges::any_of(context_.desired.nodes(), [&](const auto& node) {
      return node.second.value.region == region;
    });
    if (!known)
      return fail(Code::invalid_argument, "{}: {}: no node is there; see `perigee regions list`",
                  key, region);
    if (std::ranges::find(out, region) == out.end()) out.push_back(region);
  }
  if (out.size() > model::kMaxRegions)
    return fail(Code::invalid_argument, "{}: more than {}", key, model::kMaxRegions);
  return out;
}

async::Task<Result<void>> ScaleApi::replace(Stored<model::App> app, model::Scale scale) {
  if (app.value.scale == scale) co_return Result<void>();
  app.value.scale = std::move(scale);
  store::Transaction transaction;
  put(transaction, app.value, app.revision);
  co_return co_await context_.commit(std::move(transaction));
}

ScaleView ScaleApi::view_of(const model::App& app) const {
  const auto release = context_.desired.release(app.name, app.current_release);
  return scale_view(context_, fleet_view(context_), app, release ? release->value : ReleaseRecord{},
                    release ? context_.desired.machines_of(app.name) : StoredMachines{});
}

json::Value ScaleApi::regions_view(const model::App& app) const {
  const ScaleView view = view_of(app);
  return json::object({{"all", app.scale.all_regions},
                       {"regions", names(regions_of(view))},
                       {"primary", view.primary.str()}});
}

async::Task<Result<Reply>> ScaleApi::show_regions(Call& call) {
  CO_TRY(const AppName name, app_of(call));
  CO_TRY(const auto app, context_.desired.app(name));
  co_return Reply{200, regions_view(app.value)};
}

async::Task<Result<Reply>> ScaleApi::set_regions(Call& call) {
  CO_TRY(const AppName name, app_of(call));
  CO_TRY(const auto app, context_.desired.app(name));
  CO_TRY(const bool all, call.body.optional_bool("all", false));
  CO_TRY(std::vector<RegionCode> regions, regions_in(call.body, "regions"));
  if (all && !regions.empty())
    co_return fail(Code::invalid_argument, "all: goes without `regions`");
  if (!all && call.body.find("regions") == nullptr)
    co_return fail(Code::invalid_argument, "regions: missing; give a list, or \"all\": true");
  model::Scale scale =
      all ? with_all_regions(app.value.scale) : with_regions(app.value.scale, std::move(regions));
  CO_TRY_VOID(co_await replace(app, std::move(scale)));
  co_return co_await show_regions(call);
}

async::Task<Result<Reply>> ScaleApi::change_regions(Call& call) {
  CO_TRY(const AppName name, app_of(call));
  CO_TRY(const auto app, context_.desired.app(name));
  CO_TRY(const std::vector<RegionCode> add, regions_in(call.body, "add"));
  CO_TRY(const std::vector<std::string> texts, call.body.optional_strings("remove"));
  std::vector<RegionCode> remove;
  for (const std::string& text : texts) remove.emplace_back(text);  // its nodes may be gone
  CO_TRY(model::Scale scale, with_changed_regions(view_of(app.value), add, remove));
  CO_TRY_VOID(co_await replace(app, std::move(scale)));
  co_return co_await show_regions(call);
}

json::Value ScaleApi::scale_view_of(const model::App& app) const {
  const ScalePlan plan = plan_scale(view_of(app));
  json::Value out = to_json(app.scale);
  json::Value targets = json::array();
  for (const RegionTarget& each : plan.targets) {
    targets.push(json::object({{"region", each.region.str()},
                               {"want", each.want},
                               {"have", each.have},
                               {"why", each.why}}));
  }
  json::Value removing = json::array();
  for (const Removal& each : plan.remove)
    removing.push(json::object({{"machine", each.machine.str()}, {"why", each.why}}));
  std::vector<RegionCode> adding;
  for (const Addition& each : plan.add) adding.push_back(each.region);
  out.set("total", plan.total);
  out.set("targets", std::move(targets));
  out.set("adding", names(adding));
  out.set("removing", std::move(removing));
  out.set("notes", json::strings(plan.notes));
  return out;
}

async::Task<Result<Reply>> ScaleApi::show_scale(Call& call) {
  CO_TRY(const AppName name, app_of(call));
  CO_TRY(const auto app, context_.desired.app(name));
  co_return Reply{200, scale_view_of(app.value)};
}

async::Task<Result<Reply>> ScaleApi::set_scale(Call& call) {
  CO_TRY(const AppName name, app_of(call));
  CO_TRY(const auto app, context_.desired.app(name));
  CO_TRY(const std::optional<int> count, count_in(call.body));
  CO_TRY(const std::int64_t most,
         call.body.optional_int("max_per_region", app.value.scale.max_per_region));
  if (most < 0 || most > model::kMaxScale)
    co_return fail(Code::invalid_argument, "max_per_region: from 0 (no bound) to {}",
                   model::kMaxScale);
  ScaleView view = view_of(app.value);
  view.scale.max_per_region = static_cast<int>(most);
  CO_TRY(const std::string region, call.body.optional_string("region"));
  if (region.empty()) {
    if (call.body.find("count") != nullptr) view.scale = with_count(view.scale, count);
  } else {
    if (!count) co_return fail(Code::invalid_argument, "count: missing, for region {}", region);
    CO_TRY(const std::vector<RegionCode> one,
           regions_in(json::object({{"region", json::strings({region})}}), "region"));
    CO_TRY(view.scale, with_region_count(view, one.front(), *count));
  }
  CO_TRY_VOID(co_await replace(app, std::move(view.scale)));
  co_return co_await show_scale(call);
}

}  // namespace perigee::control
