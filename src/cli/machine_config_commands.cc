// perigee machine run, clone, update: machines made and changed by hand, beside the releases.
#include "base/text.h"
#include "cli/commands.h"
#include "cli/machine_table.h"
#include "model/json.h"

namespace perigee::cli {
namespace {

// "NAME=VALUE" words into the map `key` of a configuration.
Result<void> set_pairs(json::Value& config, std::string_view key,
                       const std::vector<std::string>& words) {
  if (words.empty()) return {};
  const json::Value* known = config.find(key);
  json::Value map = known == nullptr ? json::object() : *known;
  for (const std::string& word : words) {
    const auto pair = split_once(word, '=');
    if (!pair) return fail(Code::invalid_argument, "'{}': expected NAME=VALUE", word);
    map.set(pair->first, pair->second);
  }
  config.set(key, std::move(map));
  return {};
}

// What the command line says, over the configuration that there is.
Result<void> apply_options(json::Value& config, const Options& options) {
  const MachineOptions& machine = options.on_machine;
  if (!options.image.empty()) config.set("image", options.image);
  TRY_VOID(set_pairs(config, "env", machine.env));
  TRY_VOID(set_pairs(config, "metadata", machine.metadata));
  if (!machine.schedule.empty()) config.set("schedule", machine.schedule);
  if (!machine.restart.empty()) config.set("restart", json::object({{"policy", machine.restart}}));
  if (machine.memory_mib > 0) {
    const json::Value* known = config.find("guest");
    json::Value guest = known == nullptr ? json::object() : *known;
    guest.set("memory_mb", machine.memory_mib);
    config.set("guest", std::move(guest));
  }
  if (machine.remove) config.set("auto_destroy", true);
  return {};
}

json::Value body_of(json::Value config, const Options& options) {
  json::Value body = json::object({{"config", std::move(config)}});
  if (!options.name.empty()) body.set("name", options.name);
  if (!options.region.empty()) body.set("region", options.region);
  if (options.on_machine.skip_launch) body.set("skip_launch", true);
  return body;
}

void show(Session& session, const client::MachineInfo& machine) {
  if (session.options().json)
    print_json(machine.document);
  else
    print_machines({machine});
}

Result<json::Value> config_of(const client::MachineInfo& machine) {
  const json::Value* config = machine.document.find("config");
  if (config == nullptr) return fail(Code::internal, "the API's answer: config: missing");
  return *config;
}

}  // namespace

async::Task<Result<void>> run_machine_run(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY_VOID(co_await ensure_app(session, app));
  json::Value config = json::object();
  CO_TRY_VOID(apply_options(config, session.options()));
  CO_TRY(const client::MachineInfo machine,
         co_await api->create_machine(app.str(), body_of(std::move(config), session.options())));
  show(session, machine);
  co_return Result<void>();
}

async::Task<Result<void>> run_machine_clone(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(const client::MachineInfo source,
         co_await api->machine(app.str(), session.options().machine));
  CO_TRY(json::Value config, config_of(source));
  json::Value body = body_of(std::move(config), session.options());
  if (body.find("region") == nullptr) body.set("region", source.region);
  CO_TRY(const client::MachineInfo machine,
         co_await api->create_machine(app.str(), std::move(body)));
  show(session, machine);
  co_return Result<void>();
}

async::Task<Result<void>> run_machine_update(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  const std::string& id = session.options().machine;
  CO_TRY(const client::MachineInfo before, co_await api->machine(app.str(), id));
  CO_TRY(json::Value config, config_of(before));
  CO_TRY_VOID(apply_options(config, session.options()));
  json::Value body = body_of(std::move(config), session.options());
  body.set("current_version", text_of(before.document, "instance_id"));
  CO_TRY(const client::MachineInfo machine,
         co_await api->update_machine(app.str(), id, std::move(body)));
  show(session, machine);
  co_return Result<void>();
}

}  // namespace perigee::cli
