#include "router/route_store.h"

#include "base/log.h"
#include "model/json.h"
#include "router/limits.h"

namespace perigee::router {
namespace {

constexpr std::int64_t kFeedVersion = 1;
constexpr std::int64_t kFileVersion = 1;
constexpr std::string_view kRoutes = "/routes/";
constexpr std::string_view kNodes = "/nodes/";

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
  incoming_ = {};
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
  if (value != nullptr && value->is_null()) value = nullptr;
  if (key.starts_with(kRoutes)) return change_app(std::string(key.substr(kRoutes.size())), value);
  if (key.starts_with(kNodes)) return change_node(std::string(key.substr(kNodes.size())), value);
  return Effect::none;  // a later version's
}

Result<RouteStore::Effect> RouteStore::change_app(const std::string& app,
                                                  const json::Value* value) {
  routing::RouteMap& apps = changing().apps;
  if (value == nullptr) {
    apps.erase(app);
    return changed();
  }
  auto route = route_from(*value);
  if (!route) {
    log_warning("router", "route of {}: {}; its former one stays", app, route.error().context);
    const auto former = content_.apps.find(app);
    if (in_snapshot_ && former != content_.apps.end()) incoming_.apps.insert(*former);
    return Effect::none;
  }
  if (apps.size() >= kMaxApps && !apps.contains(app)) {
    return fail(Code::resource_exhausted, "more than {} apps in the routes feed", kMaxApps);
  }
  apps.insert_or_assign(app, *std::move(route));
  return changed();
}

Result<RouteStore::Effect> RouteStore::change_node(const std::string& node,
                                                   const json::Value* value) {
  routing::NodeMap& nodes = changing().nodes;
  if (value == nullptr) {
    nodes.erase(node);
    return changed();
  }
  auto read = model::route_node_from(*value);
  if (!read) {
    log_warning("router", "node {}: {}; what was known of it stays", node, read.error().context);
    const auto former = content_.nodes.find(node);
    if (in_snapshot_ && former != content_.nodes.end()) incoming_.nodes.insert(*former);
    return Effect::none;
  }
  if (nodes.size() >= kMaxNodes && !nodes.contains(node)) {
    return fail(Code::resource_exhausted, "more than {} nodes in the routes feed", kMaxNodes);
  }
  nodes.insert_or_assign(node, *std::move(read));
  return changed();
}

RouteStore::Effect RouteStore::finish_snapshot() {
  content_ = std::exchange(incoming_, {});
  epoch_ = incoming_epoch_;
  in_snapshot_ = false;
  return Effect::changed;
}

std::string RouteStore::position() const {
  return epoch_.empty() ? std::string() : fmt::format("{}-{}", epoch_, revision_);
}

routing::TablePtr RouteStore::table() const {
  return std::make_shared<const routing::RouteTable>(content_.apps, content_.nodes);
}

json::Value RouteStore::to_json() const {
  json::Value routes = json::array();
  for (const auto& [name, route] : content_.apps) routes.push(model::to_json(*route));
  json::Value nodes = json::array();
  for (const auto& [name, node] : content_.nodes) nodes.push(model::to_json(node));
  return json::object({{"version", kFileVersion},
                       {"epoch", epoch_},
                       {"revision", revision_},
                       {"routes", std::move(routes)},
                       {"nodes", std::move(nodes)}});
}

Result<void> RouteStore::load(std::string_view text) {
  TRY(const json::Value file, json::parse(text));
  TRY(const std::int64_t version, file.require_int("version"));
  if (version != kFileVersion) return fail(Code::unsupported, "file of version {}", version);
  TRY(std::string epoch, file.require_string("epoch"));
  TRY(const std::int64_t revision, file.require_int("revision"));
  Content content;
  if (const json::Value* routes = file.find("routes")) {
    for (const json::Value& item : routes->items()) {
      TRY(routing::RoutePtr route, route_from(item));
      content.apps.insert_or_assign(route->app.str(), std::move(route));
    }
  }
  if (const json::Value* nodes = file.find("nodes")) {
    for (const json::Value& item : nodes->items()) {
      TRY(model::RouteNode node, model::route_node_from(item));
      content.nodes.insert_or_assign(node.node.str(), std::move(node));
    }
  }
  epoch_ = std::move(epoch);
  revision_ = revision;
  content_ = std::move(content);
  return {};
}

}  // namespace perigee::router
