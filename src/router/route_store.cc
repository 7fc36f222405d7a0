#include "router/route_store.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "model/json.h"
#include "router/limits.h"

namespace perigee::router {
namespace {

constexpr std::int64_t kFeedVersion = 1;
constexpr std::string_view kRoutes = "/routes/";
constexpr std::string_view kNodes = "/nodes/";

// A value's name is that of its key.
Result<routing::RoutePtr> route_from(const std::string& app, const json::Value& value) {
  TRY(model::AppRoute route, model::app_route_from(value));
  if (route.app.str() != app) return fail(Code::data_loss, "it is of app \"{}\"", route.app);
  return std::make_shared<const model::AppRoute>(std::move(route));
}

Result<model::RouteNode> node_from(const std::string& name, const json::Value& value) {
  TRY(model::RouteNode node, model::route_node_from(value));
  if (node.node.str() != name) return fail(Code::data_loss, "it is of node \"{}\"", node.node);
  return node;
}

std::string entry(std::string key, json::Value value) {
  return json::object({{"key", std::move(key)}, {"value", std::move(value)}}).dump() + "\n";
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
  routing::RouteTable& table = changing();
  if (value == nullptr) {
    table.erase_app(app);
    return changed();
  }
  auto route = route_from(app, *value);
  if (!route) {
    log_warning("router", "route of {}: {}; its former one stays", app, route.error().context);
    const routing::RoutePtr former = content_.find_app(app);
    if (in_snapshot_ && former != nullptr) incoming_.set_app(former);
    return Effect::none;
  }
  if (table.apps().size() >= kMaxApps && !table.apps().contains(app)) {
    return fail(Code::resource_exhausted, "more than {} apps in the routes feed", kMaxApps);
  }
  table.set_app(*route);
  return changed();
}

Result<RouteStore::Effect> RouteStore::change_node(const std::string& node,
                                                   const json::Value* value) {
  routing::RouteTable& table = changing();
  if (value == nullptr) {
    table.erase_node(node);
    return changed();
  }
  auto read = node_from(node, *value);
  if (!read) {
    log_warning("router", "node {}: {}; what was known of it stays", node, read.error().context);
    const auto former = content_.nodes().find(node);
    if (in_snapshot_ && former != content_.nodes().end()) incoming_.set_node(former->second);
    return Effect::none;
  }
  if (table.nodes().size() >= kMaxNodes && !table.nodes().contains(node)) {
    return fail(Code::resource_exhausted, "more than {} nodes in the routes feed", kMaxNodes);
  }
  table.set_node(*std::move(read));
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
  return std::make_shared<const routing::RouteTable>(content_);
}

Result<void> RouteStore::load(std::string_view text) {
  RouteStore loaded;
  bool begun = false;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (std::exchange(begun, true)) {
      TRY_VOID(loaded.apply(line));
    } else {
      TRY_VOID(loaded.begin(line));
    }
  }
  if (loaded.epoch_.empty()) return fail(Code::data_loss, "the file is cut short");
  *this = std::move(loaded);
  return {};
}

RouteStore::Lines::Lines(const RouteStore& store)
    : epoch_(store.epoch_), revision_(store.revision_) {
  for (const auto& [name, node] : store.content_.nodes()) nodes_.push_back(node);
  store.content_.apps().for_each(
      [this](const std::string&, const routing::RoutePtr& route) { routes_.push_back(route); });
}

std::optional<std::string> RouteStore::Lines::next() {
  if (at_ == At::opening) {
    at_ = At::keys;
    return json::object({{"version", kFeedVersion},
                         {"epoch", epoch_},
                         {"revision", revision_},
                         {"snapshot", true}})
               .dump() +
           "\n";
  }
  if (!nodes_.empty()) {
    const model::RouteNode node = std::move(nodes_.back());
    nodes_.pop_back();
    return entry(std::string(kNodes) + node.node.str(), model::to_json(node));
  }
  if (!routes_.empty()) {
    const routing::RoutePtr route = std::move(routes_.back());
    routes_.pop_back();
    return entry(std::string(kRoutes) + route->app.str(), model::to_json(*route));
  }
  if (std::exchange(at_, At::ended) == At::ended) return std::nullopt;
  return json::object({{"revision", revision_}, {"synced", true}}).dump() + "\n";
}

}  // namespace perigee::router
