// status, logs, destroy, apps list, machine …: thin views of the API.
#include <unistd.h>

#include <iostream>

#include "cli/commands.h"

namespace perigee::cli {
namespace {

void print_machines(const std::vector<client::MachineInfo>& machines) {
  if (machines.empty()) return print("No machines. Deploy with `perigee deploy`.");
  std::vector<std::vector<std::string>> rows;
  for (const client::MachineInfo& machine : machines) {
    rows.push_back({machine.id, machine.state, machine.region, machine.private_ip,
                    fmt::format("v{}", machine.release), std::to_string(machine.restart_count),
                    tally(machine.checks), machine.started_at, machine.error});
  }
  print_table(
      {"ID", "STATE", "REGION", "ADDRESS", "RELEASE", "RESTARTS", "CHECKS", "STARTED", "ERROR"},
      rows);
}

json::Value documents(const std::vector<client::MachineInfo>& machines) {
  json::Value out = json::array();
  for (const client::MachineInfo& machine : machines) out.push(machine.document);
  return out;
}

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

void print_log(const client::Event& event, bool as_json) {
  const auto entry = json::parse(event.data);
  if (!entry || entry->find("message") == nullptr) return;
  if (as_json) return print(entry->dump());
  print(fmt::format("{} {}[{}] {}", text_of(*entry, "timestamp"), text_of(*entry, "region"),
                    text_of(*entry, "instance"), text_of(*entry, "message")));
}

// As the API's path has it.
std::string action_of(Verb verb) {
  switch (verb) {
    case Verb::machine_start:
      return "start";
    case Verb::machine_stop:
      return "stop";
    case Verb::machine_suspend:
      return "suspend";
    case Verb::machine_cordon:
      return "cordon";
    case Verb::machine_uncordon:
      return "uncordon";
    default:
      return "restart";
  }
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

async::Task<Result<void>> run_logs(Session& session) {
  const Options& options = session.options();
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(const auto events, co_await api->logs(app.str(), {.tail = options.lines,
                                                           .follow = !options.no_tail,
                                                           .machine = options.machine,
                                                           .region = options.region,
                                                           .search = options.search,
                                                           .stream = options.stream,
                                                           .since = options.since}));
  for (;;) {
    CO_TRY(const auto event, co_await events->next());
    if (!event) co_return Result<void>();
    print_log(*event, options.json);
  }
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

async::Task<Result<void>> run_machine_list(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(const auto machines, co_await api->machines(app.str()));
  if (session.options().json) {
    print_json(documents(machines));
  } else {
    print_machines(machines);
  }
  co_return Result<void>();
}

async::Task<Result<void>> run_machine_status(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(const client::MachineInfo machine,
         co_await api->machine(app.str(), session.options().machine));
  if (session.options().json) {
    print_json(machine.document);
    co_return Result<void>();
  }
  print_machines({machine});
  const auto usage = co_await api->usage(app.str(), machine.id);
  for (const std::string& line : usage ? usage_lines(*usage) : std::vector<std::string>{}) {
    print(line);
  }
  print("");
  const json::Value* events = machine.document.find("events");
  for (const json::Value& event : events == nullptr ? json::Array{} : events->items()) {
    const std::int64_t ms = event.optional_int("timestamp", 0).value_or(0);
    print(fmt::format("{}  {:<8} {}", to_rfc3339(WallTime{ms * 1'000'000}), text_of(event, "type"),
                      text_of(event, "status")));
  }
  co_return Result<void>();
}

async::Task<Result<void>> run_machine_act(Session& session) {
  const Options& options = session.options();
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  const std::string action = action_of(options.verb);
  CO_TRY_VOID(co_await api->act(app.str(), options.machine, action));
  if (options.json) {
    print_json(json::object({{"machine", options.machine}, {"action", action}}));
  } else {
    print(fmt::format("{}: {} was asked for; `perigee machine status {}` shows it.",
                      options.machine, action, options.machine));
  }
  co_return Result<void>();
}

}  // namespace perigee::cli
