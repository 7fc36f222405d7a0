// perigee machine …: what there is, and orders to one machine.
#include "base/text.h"
#include "cli/commands.h"
#include "cli/machine_table.h"

namespace perigee::cli {
namespace {

constexpr Duration kWait = 60s;

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

// How to stop, where the command line says so: in a stop's body, in a restart's query.
json::Value stop_body(const MachineOptions& options) {
  json::Value body = json::object();
  if (!options.signal.empty()) body.set("signal", options.signal);
  if (!options.timeout.empty()) body.set("timeout", options.timeout);
  return body;
}

std::string restart_query(const MachineOptions& options) {
  if (options.force) return "?force_stop=true";
  std::string query;
  for (const auto& [key, value] :
       {std::pair("signal", options.signal), std::pair("timeout", options.timeout)}) {
    if (!value.empty())
      query += fmt::format("{}{}={}", query.empty() ? "?" : "&", key, http::percent_encode(value));
  }
  return query;
}

void tell(Session& session, std::string_view what, std::string_view sentence) {
  const std::string& id = session.options().machine;
  if (session.options().json)
    print_json(json::object({{"machine", id}, {"action", what}}));
  else
    print(fmt::format("{}: {}", id, sentence));
}

}  // namespace

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
    print(fmt::format("{}  {:<8} {:<10} {}", to_rfc3339(WallTime{ms * 1'000'000}),
                      text_of(event, "type"), text_of(event, "status"), text_of(event, "source")));
  }
  co_return Result<void>();
}

async::Task<Result<void>> run_machine_act(Session& session) {
  const Options& options = session.options();
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  const std::string action = action_of(options.verb);
  const bool stops = options.verb == Verb::machine_stop;
  const bool restarts = options.verb == Verb::machine_restart;
  CO_TRY_VOID(co_await api->act(app.str(), options.machine,
                                restarts ? action + restart_query(options.on_machine) : action,
                                stops ? stop_body(options.on_machine) : json::Value()));
  tell(session, action,
       fmt::format("{} was asked for; `perigee machine status {}` shows it.", action,
                   options.machine));
  co_return Result<void>();
}

async::Task<Result<void>> run_machine_destroy(Session& session) {
  const Options& options = session.options();
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  using Force = client::Client::Force;
  CO_TRY_VOID(co_await api->destroy_machine(app.str(), options.machine,
                                            options.on_machine.force ? Force::yes : Force::no));
  tell(session, "destroy", "it goes, with its disk.");
  co_return Result<void>();
}

async::Task<Result<void>> run_machine_wait(Session& session) {
  const Options& options = session.options();
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  Duration timeout = kWait;
  if (!options.on_machine.timeout.empty()) {
    CO_TRY_AS(timeout, parse_duration(options.on_machine.timeout), "--timeout");
  }
  const std::string& state = options.on_machine.state;
  CO_TRY_VOID(co_await api->wait_machine(app.str(), options.machine, state, timeout));
  tell(session, "wait", fmt::format("it is {}.", state));
  co_return Result<void>();
}

async::Task<Result<void>> run_machine_lease(Session& session) {
  const Options& options = session.options();
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(const json::Value lease, co_await api->lease(app.str(), options.machine));
  if (options.verb == Verb::machine_lease_clear) {
    CO_TRY_VOID(co_await api->release_lease(app.str(), options.machine, text_of(lease, "nonce")));
    tell(session, "lease clear", "its lease is ended.");
  } else if (options.json) {
    print_json(lease);
  } else {
    const std::int64_t ends = lease.optional_int("expires_at", 0).value_or(0);
    print_table({"MACHINE", "OWNER", "DESCRIPTION", "UNTIL"},
                {{options.machine, text_of(lease, "owner"), text_of(lease, "description"),
                  to_rfc3339(WallTime{ends * 1'000'000'000})}});
  }
  co_return Result<void>();
}

async::Task<Result<void>> run_machine_metadata(Session& session) {
  const Options& options = session.options();
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  for (const std::string& word : options.on_machine.metadata) {
    if (options.verb == Verb::machine_metadata_unset) {
      CO_TRY_VOID(co_await api->unset_metadata(app.str(), options.machine, word));
      continue;
    }
    const auto pair = split_once(word, '=');
    if (!pair) co_return fail(Code::invalid_argument, "'{}': expected NAME=VALUE", word);
    CO_TRY_VOID(co_await api->set_metadata(app.str(), options.machine, std::string(pair->first),
                                           std::string(pair->second)));
  }
  CO_TRY(const json::Value metadata, co_await api->metadata(app.str(), options.machine));
  if (options.json) {
    print_json(metadata);
    co_return Result<void>();
  }
  for (const auto& [key, value] : metadata.members())
    print(fmt::format("{}={}", key, value.is_string() ? *value.string() : value.dump()));
  co_return Result<void>();
}

}  // namespace perigee::cli
