// status, config show, destroy, apps list: thin views of the API.
#include <unistd.h>

#include <iostream>

#include "cli/commands.h"
#include "cli/machine_table.h"
#include "config/app_config.h"
#include "model/json.h"

namespace perigee::cli {
namespace {

void print_app(const client::AppInfo& app) {
  print(fmt::format("App       {}", app.name));
  print(fmt::format("Hostname  {}", app.hostname));
  print(fmt::format("Status    {}", app.status));
  print(fmt::format("Release   {}\n", app.current_release == 0
                                          ? "none yet"
                                          : fmt::format("v{}", app.current_release)));
}

bool confirmed(const AppName& app) {
  if (::isatty(STDIN_FILENO) == 0) return false;
  std::cout << fmt::format("Destroy {} with all its machines and volumes? Type its name: ", app)
            << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == app.str();
}

}  // namespace

async::Task<Result<void>> run_status(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(const client::AppInfo info, co_await api->app(app.str()));
  CO_TRY(const auto machines, co_await api->machines(app.str()));
  if (session.options().json) {
    print_json(json::object({{"app", info.document}, {"machines", documents(machines)}}));
  } else {
    print_app(info);
    print_machines(machines);
  }
  co_return Result<void>();
}

async::Task<Result<void>> run_config_show(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(const client::AppInfo info, co_await api->app(app.str()));
  json::Value out = json::object({{"app", info.name}, {"release", info.current_release}});
  if (info.current_release > 0) {
    CO_TRY(const client::ReleaseInfo release,
           co_await api->release(app.str(), info.current_release));
    const json::Value* const config = release.document.find("config");
    if (config != nullptr) out.set("machine", *config);
  }
  CO_TRY(json::Value egress, co_await api->egress(app.str()));
  out.set("egress", std::move(egress));
  print_json(out);
  co_return Result<void>();
}

async::Task<Result<void>> run_config_validate(Session& session) {
  const Options& options = session.options();
  CO_TRY(const config::AppConfig config, config::load_app_config(options.config));
  if (options.json) {
    print_json(json::object({{"app", config.app.str()},
                             {"machine", model::to_json(config.machine)},
                             {"warnings", json::strings(config.warnings)}}));
    co_return Result<void>();
  }
  for (const std::string& warning : config.warnings) print("warning: " + warning);
  print(fmt::format("{} is valid.", options.config));
  co_return Result<void>();
}

async::Task<Result<void>> run_destroy(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  if (!session.options().yes && !confirmed(app)) {
    co_return fail(Code::cancelled, "{} was not destroyed (give --yes to go without asking)", app);
  }
  CO_TRY_VOID(co_await api->destroy_app(app.str()));
  if (session.options().json) {
    print_json(json::object({{"destroyed", app.str()}}));
  } else {
    print(fmt::format("Destroyed {}.", app));
  }
  co_return Result<void>();
}

async::Task<Result<void>> run_apps_list(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const auto apps, co_await api->apps());
  json::Value all = json::array();
  std::vector<std::vector<std::string>> rows;
  for (const client::AppInfo& app : apps) {
    all.push(app.document);
    rows.push_back({app.name, app.status, app.hostname, std::to_string(app.machine_count)});
  }
  if (session.options().json) {
    print_json(all);
  } else if (rows.empty()) {
    print("No apps yet. Make one with `perigee launch`.");
  } else {
    print_table({"NAME", "STATUS", "HOSTNAME", "MACHINES"}, rows);
  }
  co_return Result<void>();
}

}  // namespace perigee::cli
