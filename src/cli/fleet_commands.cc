// regions, scale and nodes: where an app runs and how often, and on which servers.
#include "cli/fleet_commands.h"

#include <algorithm>

#include "base/text.h"

namespace perigee::cli {
namespace {

std::int64_t number(const json::Value& value, std::string_view key) {
  return value.optional_int(key, 0).value_or(0);
}

const json::Array& items(const json::Value& value, std::string_view key) {
  static const json::Array kNone;
  const json::Value* list = value.find(key);
  return list == nullptr ? kNone : list->items();
}

bool has_text(const json::Array& list, const std::string& text) {
  return std::ranges::any_of(list, [&](const json::Value& each) {
    return each.string() != nullptr && *each.string() == text;
  });
}

std::string joined(const json::Array& list) {
  std::string out;
  for (const json::Value& each : list)
    out += (out.empty() ? "" : ", ") + (each.string() == nullptr ? each.dump() : *each.string());
  return out;
}

std::string mib(const json::Value& value, std::string_view key) {
  return value.find(key) == nullptr ? "" : fmt::format("{} MiB", number(value, key));
}

// ---- regions ----

std::string mark_of(const json::Value& app, const std::string& region) {
  if (!has_text(items(app, "regions"), region)) return "";
  return text_of(app, "primary") == region ? "primary" : "yes";
}

void print_regions(const json::Value& fleet, const json::Value& app) {
  std::vector<std::vector<std::string>> rows;
  for (const json::Value& region : items(fleet, "regions")) {
    const std::string code = text_of(region, "code");
    rows.push_back({code, mark_of(app, code), text_of(region, "city"),
                    fmt::format("{}/{}", number(region, "nodes_ready"), number(region, "nodes")),
                    text_of(region, "machines"), mib(region, "memory_unused_mib")});
  }
  print_table({"REGION", "APP", "CITY", "NODES", "MACHINES", "ROOM"}, rows);
}

void print_app_regions(Session& session, const AppName& app, const json::Value& regions) {
  if (session.options().json) return print_json(regions);
  const bool all = regions.optional_bool("all", false).value_or(false);
  const std::string list = joined(items(regions, "regions"));
  if (all) {
    print(fmt::format("{} runs in all regions of the fleet, now and later: {}", app, list));
  } else if (list.empty()) {
    print(fmt::format("{} runs where there is room.", app));
  } else {
    print(fmt::format("{} runs in {}.", app, list));
  }
}

json::Value set_body(const std::vector<std::string>& names) {
  if (names == std::vector<std::string>{"all"}) return json::object({{"all", true}});
  if (names == std::vector<std::string>{"any"}) return json::object({{"regions", json::array()}});
  return json::object({{"regions", json::strings(names)}});
}

// ---- scale ----

void print_scale(Session& session, const AppName& app, const json::Value& scale) {
  if (session.options().json) return print_json(scale);
  const json::Value* count = scale.find("count");
  std::string wanted = count == nullptr ? "" : fmt::format(", count {}", count->dump());
  if (number(scale, "max_per_region") > 0)
    wanted += fmt::format(", at most {} in one region", number(scale, "max_per_region"));
  print(fmt::format("{}: {} machines{}", app, number(scale, "total"), wanted));
  std::vector<std::vector<std::string>> rows;
  for (const json::Value& each : items(scale, "targets")) {
    rows.push_back({text_of(each, "region"), text_of(each, "want"), text_of(each, "have"),
                    text_of(each, "why")});
  }
  if (!rows.empty()) print_table({"REGION", "WANT", "HAVE", "WHY"}, rows);
  if (const std::string adding = joined(items(scale, "adding")); !adding.empty())
    print(fmt::format("being made: {}", adding));
  for (const json::Value& each : items(scale, "removing"))
    print(fmt::format("to be removed: machine {}: {}", text_of(each, "machine"),
                      text_of(each, "why")));
  for (const json::Value& note : items(scale, "notes"))
    if (const std::string* text = note.string()) print(fmt::format("note: {}", *text));
}

// ---- nodes ----

void print_node(const json::Value& node) {
  print(fmt::format("Node      {}", text_of(node, "name")));
  print(fmt::format("Region    {} {}", text_of(node, "region"), text_of(node, "city")));
  print(fmt::format("State     {}", text_of(node, "state")));
  if (!items(node, "roles").empty())
    print(fmt::format("Roles     {}", joined(items(node, "roles"))));
  if (node.find("mesh_address") != nullptr)
    print(fmt::format("Mesh      {}", text_of(node, "mesh_address")));
  if (node.find("wireguard_key") != nullptr) {
    const std::string rotation = text_of(node, "key_rotation");
    print(fmt::format("Key       {}{}", text_of(node, "wireguard_key"),
                      rotation.empty() ? "" : " (its change is " + rotation + ")"));
  }
  if (node.find("cpus") != nullptr) {
    print(fmt::format("CPUs      {} ({})", text_of(node, "cpus"), text_of(node, "accelerator")));
    print(fmt::format("Memory    {} of {} unused", mib(node, "memory_unused_mib"),
                      mib(node, "memory_mib")));
    print(fmt::format("Disk      {} free", mib(node, "disk_free_mib")));
  }
  const bool drains = node.optional_bool("draining", false).value_or(false);
  std::vector<std::vector<std::string>> rows;
  for (const json::Value& each : items(node, "machine_list")) {
    const std::string stays = text_of(each, "stays");
    rows.push_back({text_of(each, "id"), text_of(each, "app"), text_of(each, "state"),
                    mib(each, "memory_mib"),
                    !stays.empty() ? "stays: " + stays
                    : drains       ? "moves when another runs in its place"
                                   : ""});
  }
  if (!rows.empty()) {
    print("");
    print_table({"MACHINE", "APP", "STATE", "MEMORY", "NOTE"}, rows);
  }
  for (const json::Value& each : items(node, "volume_list"))
    print(fmt::format("volume {} of {}, {}", text_of(each, "id"), text_of(each, "app"),
                      mib(each, "size_mb")));
}

void show_node(Session& session, const json::Value& node) {
  if (session.options().json) {
    print_json(node);
  } else {
    print_node(node);
  }
}

std::string action_of(Verb verb) {
  if (verb == Verb::nodes_cordon) return "cordon";
  if (verb == Verb::nodes_rotate_keys) return "rotate-keys";
  return verb == Verb::nodes_uncordon ? "uncordon" : "drain";
}

}  // namespace

async::Task<Result<void>> run_regions_list(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(json::Value fleet, co_await api->regions());
  json::Value regions;
  if (const Result<AppName> app = session.app()) {
    CO_TRY(regions, co_await api->app_regions(app->str()));
  } else if (app.error().code != Code::invalid_argument) {
    co_return fail(app.error());
  }
  if (!session.options().json) {
    print_regions(fleet, regions);
    co_return Result<void>();
  }
  if (!regions.is_null()) fleet.set("app", regions);
  print_json(fleet);
  co_return Result<void>();
}

async::Task<Result<void>> run_regions_set(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(const json::Value regions,
         co_await api->set_app_regions(app.str(), set_body(session.options().fleet.regions)));
  print_app_regions(session, app, regions);
  co_return Result<void>();
}

async::Task<Result<void>> run_regions_change(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  const bool add = session.options().verb == Verb::regions_add;
  const json::Value body =
      json::object({{add ? "add" : "remove", json::strings(session.options().fleet.regions)}});
  CO_TRY(const json::Value regions, co_await api->change_app_regions(app.str(), body));
  print_app_regions(session, app, regions);
  co_return Result<void>();
}

async::Task<Result<void>> run_scale_show(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(const json::Value scale, co_await api->scale(app.str()));
  print_scale(session, app, scale);
  co_return Result<void>();
}

async::Task<Result<void>> run_scale_count(Session& session) {
  const Options& options = session.options();
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  json::Value body = json::object({});
  const auto count = parse_uint(options.fleet.count, 256);  // else "auto"
  body.set("count", count ? json::Value(static_cast<std::int64_t>(*count)) : json::Value());
  if (!options.region.empty()) body.set("region", options.region);
  if (options.fleet.max_per_region) body.set("max_per_region", *options.fleet.max_per_region);
  CO_TRY(const json::Value scale, co_await api->set_scale(app.str(), std::move(body)));
  print_scale(session, app, scale);
  co_return Result<void>();
}

async::Task<Result<void>> run_nodes_list(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const auto nodes, co_await api->nodes());
  json::Value all = json::array();
  std::vector<std::vector<std::string>> rows;
  for (const client::NodeInfo& node : nodes) {
    const json::Value& each = node.document;
    all.push(each);
    rows.push_back({node.name, node.region, text_of(each, "city"), node.state,
                    joined(items(each, "roles")), text_of(each, "cpus"), mib(each, "memory_mib"),
                    mib(each, "memory_unused_mib"), text_of(each, "machines")});
  }
  if (session.options().json) {
    print_json(all);
  } else {
    print_table(
        {"NAME", "REGION", "CITY", "STATE", "ROLES", "CPUS", "MEMORY", "UNUSED", "MACHINES"}, rows);
  }
  co_return Result<void>();
}

async::Task<Result<void>> run_nodes_show(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const json::Value node, co_await api->node(session.options().fleet.node));
  show_node(session, node);
  co_return Result<void>();
}

async::Task<Result<void>> run_nodes_act(Session& session) {
  const Options& options = session.options();
  CO_TRY(client::Client* const api, session.api());
  json::Value body = json::object({});
  if (options.fleet.stop) body.set("stop", true);
  CO_TRY(const json::Value node,
         co_await api->act_on_node(options.fleet.node, action_of(options.verb), std::move(body)));
  show_node(session, node);
  co_return Result<void>();
}

async::Task<Result<void>> run_nodes_remove(Session& session) {
  const Options& options = session.options();
  CO_TRY(client::Client* const api, session.api());
  const auto force = options.fleet.force ? client::Client::Force::yes : client::Client::Force::no;
  CO_TRY_VOID(co_await api->remove_node(options.fleet.node, force));
  if (options.json) {
    print_json(json::object({{"removed", options.fleet.node}}));
  } else {
    print(fmt::format("Removed the node {} from the fleet.", options.fleet.node));
  }
  co_return Result<void>();
}

}  // namespace perigee::cli
