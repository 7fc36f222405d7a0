#include "router/route_store.h"

#include "base/log.h"
#include "model/json.h"
#include "router/limits.h"

namespace perigee::router {
namespace {

constexpr std::int64_t kFeedVersion = 1;
constexpr std::int64_t kFileVersion = 1;
constexpr std::string_view kPrefix = "/routes/";

Result<routing::RoutePtr> route_from(const json::Value& value) {
  TRY(model::AppRoute route, model::app_route_from(value));
  return std::make_shared<const model::AppRoute>(std::move(route));
}

}  // namespace

Result<void> RouteStore::begin(std::string_view line) {
  TRY_AS(const json::Value hello, json::parse(line), "feed's first line");
  TRY(const std::int64_t version, hello.require_int("version"));
  if (version != kFeedVersion) {
    return fail(Code::unsupported, "routes feed of version {}, this router reads version {}",
                version, kFeedVersion);
  }
  TRY(incoming_epoch_, hello.require_string("epoch"));
  TRY(in_snapshot_, hello.optional_bool("snapshot", false));
  incoming_.clear();
  if (!in_snapshot_ && incoming_epoch_ != epoch_) {
    return fail(Code::data_loss, "routes feed goes on in an epoch that this router does not know");
  }
  return {};
}

Result<RouteStore::Effect> RouteStore::apply(std::string_view line) {
  TRY_AS(const json::Value value, json::parse(line), "feed line");
  const json::Value* key = value.find("key");
  Effect effect = Effect::none;
  if (key != nullptr) {
    if (key->string() == nullptr) return fail(Code::data_loss, "feed line: key is not a string");
    TRY(effect, change(*key->string(), value.find("value")));
  }
  TRY(const std::int64_t revision, value.optional_int("revision", -1));
  TRY(const bool synced, value.optional_bool("synced", false));
  if (synced && in_snapshot_) effect = finish_snapshot();
  if (revision >= 0 && !in_snapshot_) revision_ = revision;
  return effect;
}

Result<RouteStore::Effect> RouteStore::change(std::string_view key, const json::Value* value) {
  if (!key.starts_with(kPrefix)) return Effect::none;  // a later version's
  const std::string app(key.substr(kPrefix.size()));
  routing::RouteMap& apps = in_snapshot_ ? incoming_ : apps_;
  const Effect effect = in_snapshot_ ? Effect::none : Effect::changed;
  if (value == nullptr || value->is_null()) {
    apps.erase(app);
    return effect;
  }
  auto route = route_from(*value);
  if (!route) {
    log_warning("router", "route of {}: {}; its former one stays", app, route.error().context);
    const auto former = apps_.find(app);
    if (in_snapshot_ && former != apps_.end()) incoming_.insert(*former);
    return Effect::none;
  }
  if (apps.size() >= kMaxApps && !apps.contains(app)) {
    return fail(Code::resource_exhausted, "more than {} apps in the routes feed", kMaxApps);
  }
  apps.insert_or_assign(app, *std::move(route));
  return effect;
}

RouteStore::Effect RouteStore::finish_snapshot() {
  apps_ = std::move(incoming_);
  incoming_.clear();
  epoch_ = incoming_epoch_;
  in_snapshot_ = false;
  return Effect::changed;
}

std::string RouteStore::position() const {
  return epoch_.empty() ? std::string() : fmt::format("{}-{}", epoch_, revision_);
}

routing::TablePtr RouteStore::table() const {
  return std::make_shared<const routing::RouteTable>(apps_);
}

json::Value RouteStore::to_json() const {
  json::Value routes = json::array();
  for (const auto& [name, route] : apps_) routes.push(model::to_json(*route));
  return json::object({{"version", kFileVersion},
                       {"epoch", epoch_},
                       {"revision", revision_},
                       {"routes", std::move(routes)}});
}

Result<void> RouteStore::load(std::string_view text) {
  TRY(const json::Value file, json::parse(text));
  TRY(const std::int64_t version, file.require_int("version"));
  if (version != kFileVersion) return fail(Code::unsupported, "file of version {}", version);
  TRY(std::string epoch, file.require_string("epoch"));
  TRY(const std::int64_t revision, file.require_int("revision"));
  routing::RouteMap apps;
  if (const json::Value* routes = file.find("routes")) {
    for (const json::Value& item : routes->items()) {
      TRY(routing::RoutePtr route, route_from(item));
      apps.insert_or_assign(route->app.str(), std::move(route));
    }
  }
  epoch_ = std::move(epoch);
  revision_ = revision;
  apps_ = std::move(apps);
  return {};
}

}  // namespace perigee::router
