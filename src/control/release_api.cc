#include "control/release_api.h"

#include <algorithm>
#include <limits>

#include "api/event_stream.h"
#include "api/limits.h"
#include "async/combine.h"
#include "base/text.h"
#include "control/app_api.h"
#include "control/lease_api.h"
#include "control/limits.h"
#include "control/port_claims.h"
#include "control/release_machines.h"
#include "model/json.h"
#include "model/limits.h"

namespace perigee::control {
namespace {

using api::Call;
using api::Reply;

constexpr int kMaxCount = model::kMaxScale;

json::Value view(const ReleaseRecord& record) {
  json::Value out = to_json(record);
  out.set("created_at", to_rfc3339(record.release.created_at));
  out.set("image", record.release.config.image);
  return out;
}

json::Value event_view(const model::Release& release, const model::ReleaseEvent& event) {
  return json::object({{"at", to_rfc3339(event.at)},
                       {"kind", event.kind},
                       {"message", event.message},
                       {"version", release.version}});
}

Result<std::int64_t> version_of(const Call& call) {
  const auto version = parse_uint(call.param("version"), std::numeric_limits<std::int32_t>::max());
  if (!version)
    return fail(Code::invalid_argument, "release \"{}\": expected a number, such as 3",
                call.param("version"));
  return static_cast<std::int64_t>(*version);
}

// How many events this client has: `?after=N`, or what a reconnecting EventSource says.
std::size_t events_seen(const Call& call) {
  std::string text = call.query("after").value_or("");
  if (const std::string_view* last = call.request.head.headers.find("last-event-id")) text = *last;
  return parse_uint(text, model::kMaxReleaseEvents).value_or(0);
}

// Oldest first, beyond what is kept.
std::vector<std::int64_t> outlived(const DesiredTable& desired, const model::App& app) {
  std::vector<std::int64_t> finished;
  std::size_t all = 0;
  for (auto at = desired.releases().lower_bound({app.name, 0});
       at != desired.releases().end() && at->first.first == app.name; ++at, ++all) {
    const bool in_use = at->first.second == app.current_release;
    if (!in_use && is_finished(at->second.value.release)) finished.push_back(at->first.second);
  }
  const std::size_t excess = all + 1 > kKeptReleases ? all + 1 - kKeptReleases : 0;
  finished.resize(std::min(excess, finished.size()));
  return finished;
}

// A deploy that says how many changes what is kept, else the next look would undo it.
void keep_count(model::Scale& scale, int count) {
  scale.count = count;
  scale.region_counts.clear();
}

async::Task<bool> more_than(const DesiredTable& desired, async::Notify& changed,
                            DesiredTable::ReleaseId id, std::size_t seen) {
  for (;;) {
    const auto release = desired.release(id.first, id.second);
    if (!release || release->value.release.events.size() > seen ||
        is_finished(release->value.release))
      co_return true;
    co_await changed.wait();
  }
}

}  // namespace

void ReleaseApi::add_routes(api::RouteTable& table, const api::Guard& guard) {
  const std::string all = "/v1/apps/{app}/releases";
  const std::string one = all + "/{version}";
  table.answer("GET", all, guard, [this](Call& call) { return list(call); });
  table.answer("POST", all, guard, [this](Call& call) { return create(call); });
  table.answer("GET", one, guard, [this](Call& call) { return show(call); });
  table.stream("GET", one + "/events", guard, [this](Call& call, http::ResponseWriter& response) {
    return events(call, response);
  });
}

async::Task<Result<Reply>> ReleaseApi::list(Call& call) {
  CO_TRY(const AppName app, app_of(call));
  CO_TRY([[maybe_unused]] const auto known, context_.desired.app(app));
  std::vector<json::Value> newest_first;
  for (auto at = context_.desired.releases().lower_bound({app, 0});
       at != context_.desired.releases().end() && at->first.first == app; ++at)
    newest_first.insert(newest_first.begin(), view(at->second.value));
  co_return Reply{200, json::object({{"releases", json::array(std::move(newest_first))}})};
}

// {"redeploy": true}: what serves now, in new machines, which take the app's secrets as they are.
Result<ReleaseRecord> ReleaseApi::again(const model::App& app) const {
  if (app.current_release == 0)
    return fail(Code::conflict, "app \"{}\" has no release yet: deploy it first", app.name);
  TRY(const Stored<ReleaseRecord> current, context_.desired.release(app.name, app.current_release));
  ReleaseRecord record;
  record.release.app = app.name;
  record.release.image = current.value.release.image;
  record.release.config = current.value.release.config;
  record.release.status = model::ReleaseStatus::running;  // there is nothing to resolve
  record.region = current.value.region;
  record.count = std::min(usual_count(context_, app, record), kMaxCount);
  return record;
}

Result<ReleaseRecord> ReleaseApi::read(const model::App& app, const json::Value& body) const {
  ReleaseRecord record;
  record.release.app = app.name;
  TRY(const std::string image, body.require_string("image"));
  const json::Value* config = body.find("config");
  if (config != nullptr && !config->is_null()) {
    TRY_AS(record.release.config, model::machine_config_from(*config), "config");
  }
  for (const model::Mount& mount : record.release.config.mounts) {
    if (mount.name.empty() || !mount.volume.empty())
      return fail(
          Code::invalid_argument,
          "config.mounts: {}: a deploy names its volumes (\"name\"), and each machine gets one "
          "of that name",
          mount.path);
  }
  if (image.empty()) return fail(Code::invalid_argument, "image: missing");
  record.release.config.image = image;
  TRY(const std::string region, body.optional_string("region"));
  if (!region.empty()) {
    TRY_AS(record.region, model::parse_region(region), "region");
  }
  TRY(const std::int64_t count, body.optional_int("count", usual_count(context_, app, record)));
  if (count < 1 || count > kMaxCount)
    return fail(Code::invalid_argument, "count: from 1 to {}", kMaxCount);
  record.count = static_cast<int>(count);
  return record;
}

async::Task<Result<Reply>> ReleaseApi::create(Call& call) {
  CO_TRY(const AppName name, app_of(call));
  CO_TRY(const Stored<model::App> stored, context_.desired.app(name));
  CO_TRY_VOID(check_leases_of(context_, name, lease_nonce(call)));
  CO_TRY(const bool redeploy, call.body.optional_bool("redeploy", false));
  CO_TRY(ReleaseRecord record, redeploy ? again(stored.value) : read(stored.value, call.body));
  model::App app = stored.value;
  if (call.body.find("count") != nullptr && app.scale.is_set()) keep_count(app.scale, record.count);
  app.last_release += 1;
  record.release.version = app.last_release;
  record.release.created_at = context_.host.clock.wall();
  record.release.events.push_back(
      {record.release.created_at, "step", fmt::format("release v{}", app.last_release)});
  store::Transaction transaction;
  CO_TRY_VOID(claim_ports(context_, transaction, app, record.release.config.services));
  put(transaction, app, stored.revision);
  put(transaction, record, 0);
  for (const std::int64_t old : outlived(context_.desired, app))
    transaction.remove(release_key(name, old));
  CO_TRY_VOID_AS(co_await context_.commit(std::move(transaction)), "release");
  co_return Reply{202, view(record)};
}

async::Task<Result<Reply>> ReleaseApi::show(Call& call) {
  CO_TRY(const AppName app, app_of(call));
  CO_TRY(const std::int64_t version, version_of(call));
  CO_TRY([[maybe_unused]] const auto known, context_.desired.app(app));
  CO_TRY(const auto release, context_.desired.release(app, version));
  co_return Reply{200, view(release.value)};
}

async::Task<Result<void>> ReleaseApi::events(Call& call, http::ResponseWriter& response) {
  CO_TRY(const AppName app, app_of(call));
  CO_TRY(const std::int64_t version, version_of(call));
  CO_TRY([[maybe_unused]] const auto known, context_.desired.app(app));
  CO_TRY(auto release, context_.desired.release(app, version));
  std::size_t seen = events_seen(call);
  api::EventStream stream(call.request, response);
  CO_TRY_VOID(co_await stream.start());
  async::Loop& loop = context_.host.loop;
  for (;;) {
    const auto& all = release.value.release.events;
    for (; seen < all.size(); ++seen) {
      CO_TRY_VOID(co_await stream.send(all[seen].kind, event_view(release.value.release, all[seen]),
                                       static_cast<std::int64_t>(seen + 1)));
    }
    if (is_finished(release.value.release)) co_return co_await stream.finish();
    const auto more =
        co_await async::until(loop, loop.now() + api::kEventKeepAlive,
                              more_than(context_.desired, context_.changed, {app, version}, seen));
    if (!more) CO_TRY_VOID(co_await stream.keep_alive());
    auto next = context_.desired.release(app, version);
    if (!next) co_return co_await stream.finish();  // the app was destroyed
    release = *std::move(next);
  }
}

}  // namespace perigee::control
