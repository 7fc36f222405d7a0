// registry …: log-ins at registries. A password goes to the API and nowhere else.
#include "cli/commands.h"
#include "cli/standard_input.h"
#include "cli/terminal.h"
#include "sys/core_dumps.h"

namespace perigee::cli {
namespace {

Result<std::string> username_of(const Options& options) {
  if (!options.username.empty()) return options.username;
  if (is_interactive()) return ask_line("User name: ", Echo::yes);
  return fail(Code::invalid_argument, "--username is missing");
}

Result<std::string> password_of(const Options& options) {
  if (options.password_stdin) return read_input_value();
  if (is_interactive()) return ask_line("Password: ", Echo::no);
  return fail(Code::invalid_argument,
              "standard input is no terminal to ask for a password; pipe it in, with "
              "--password-stdin");
}

void print_logins(const json::Value& document) {
  const json::Value* logins = document.find("registries");
  if (logins == nullptr || logins->items().empty()) {
    return print("No log-ins. Images of public registries need none.");
  }
  std::vector<std::vector<std::string>> rows;
  for (const json::Value& login : logins->items()) {
    rows.push_back({text_of(login, "registry"), text_of(login, "username"),
                    text_of(login, "digest"), text_of(login, "updated_at")});
  }
  print_table({"REGISTRY", "USER", "DIGEST", "UPDATED"}, rows);
}

}  // namespace

async::Task<Result<void>> run_registry_login(Session& session) {
  CO_TRY_VOID(sys::forbid_core_dumps());
  const Options& options = session.options();
  CO_TRY(client::Client* const api, session.api());
  json::Value login = json::object();
  CO_TRY(std::string username, username_of(options));
  CO_TRY(std::string password, password_of(options));
  login.set("username", std::move(username));
  login.set("password", std::move(password));
  CO_TRY(const json::Value made,
         co_await api->set_registry_login(options.registry, std::move(login)));
  if (options.json) {
    print_json(made);
  } else {
    print(fmt::format("Images of {} are pulled as {} from now on.", text_of(made, "registry"),
                      text_of(made, "username")));
  }
  co_return Result<void>();
}

async::Task<Result<void>> run_registry_logout(Session& session) {
  const Options& options = session.options();
  CO_TRY(client::Client* const api, session.api());
  CO_TRY_VOID(co_await api->remove_registry_login(options.registry));
  if (options.json) {
    print_json(json::object({{"removed", options.registry}}));
  } else {
    print(fmt::format("Images of {} are pulled without a log-in from now on.", options.registry));
  }
  co_return Result<void>();
}

async::Task<Result<void>> run_registry_list(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const json::Value logins, co_await api->registries());
  if (session.options().json) {
    print_json(logins);
  } else {
    print_logins(logins);
  }
  co_return Result<void>();
}

}  // namespace perigee::cli
