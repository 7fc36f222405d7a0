// secrets …: values go to the API and nowhere else: not to the terminal, not into an error.
#include "cli/commands.h"
#include "cli/dotenv.h"
#include "cli/standard_input.h"
#include "sys/core_dumps.h"

namespace perigee::cli {
namespace {

constexpr Duration kRotationPatience = 60s;
constexpr Duration kRotationPause = 500ms;

// The values of `set`: "-" stands for standard input, without its last newline.
Result<json::Value> values_of(const std::vector<std::string>& arguments) {
  json::Value values = json::object();
  bool input_used = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    TRY(auto assignment, parse_assignment(arguments[i], fmt::format("argument {}", i + 1)));
    auto& [name, value] = assignment;
    if (value == "-") {
      if (std::exchange(input_used, true))
        return fail(Code::invalid_argument, "{}: only one value can come from standard input",
                    name);
      TRY(value, read_input_value());
    }
    values.set(name, std::move(value));
  }
  return values;
}

Result<json::Value> imported_values() {
  TRY(const std::string text, read_standard_input());
  TRY_AS(const auto assignments, parse_dotenv(text), "standard input");
  if (assignments.empty())
    return fail(Code::invalid_argument, "standard input: no NAME=VALUE line");
  json::Value values = json::object();
  for (const auto& [name, value] : assignments) values.set(name, value);
  return values;
}

json::Value removed_values(const std::vector<std::string>& names) {
  json::Value values = json::object();
  for (const std::string& name : names) values.set(name, nullptr);
  return values;
}

void print_secrets(const json::Value& document) {
  const json::Value* secrets = document.find("secrets");
  if (secrets == nullptr || secrets->items().empty()) {
    return print("No secrets. Set one with `perigee secrets set NAME=-`.");
  }
  std::vector<std::vector<std::string>> rows;
  for (const json::Value& secret : secrets->items()) {
    rows.push_back({text_of(secret, "name"), text_of(secret, "digest"),
                    text_of(secret, "created_at"), text_of(secret, "updated_at")});
  }
  print_table({"NAME", "DIGEST", "CREATED", "UPDATED"}, rows);
}

// A release of what runs, so that its machines have the secrets as they are now.
async::Task<Result<void>> put_into_use(Session& session, client::Client& api, AppName app) {
  CO_TRY(const client::AppInfo info, co_await api.app(app.str()));
  if (info.current_release == 0) {
    print(fmt::format("{} has no release yet: its first deploy takes them along.", app));
    co_return Result<void>();
  }
  CO_TRY(const client::ReleaseInfo release, co_await api.redeploy(app.str()));
  if (session.options().detach) {
    print(fmt::format("Release v{} goes on on the server.", release.version));
    co_return Result<void>();
  }
  co_return co_await watch_release(session, api, app, release.version);
}

async::Task<Result<void>> change(Session& session, json::Value values) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(const json::Value secrets, co_await api->set_secrets(app.str(), std::move(values)));
  if (session.options().json)
    print_json(secrets);
  else
    print(fmt::format("The secrets of {} are changed.", app));
  if (!session.options().stage) co_return co_await put_into_use(session, *api, app);
  if (!session.options().json)
    print("They are staged: the next deploy, or `perigee secrets deploy`, puts them into use.");
  co_return Result<void>();
}

}  // namespace

async::Task<Result<void>> run_secrets_set(Session& session) {
  CO_TRY_VOID(sys::forbid_core_dumps());
  CO_TRY(json::Value values, values_of(session.options().names));
  co_return co_await change(session, std::move(values));
}

async::Task<Result<void>> run_secrets_import(Session& session) {
  CO_TRY_VOID(sys::forbid_core_dumps());
  CO_TRY(json::Value values, imported_values());
  co_return co_await change(session, std::move(values));
}

async::Task<Result<void>> run_secrets_unset(Session& session) {
  co_return co_await change(session, removed_values(session.options().names));
}

async::Task<Result<void>> run_secrets_list(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  CO_TRY(const json::Value secrets, co_await api->secrets(app.str()));
  if (session.options().json)
    print_json(secrets);
  else
    print_secrets(secrets);
  co_return Result<void>();
}

async::Task<Result<void>> run_secrets_deploy(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(const AppName app, session.app());
  co_return co_await put_into_use(session, *api, app);
}

async::Task<Result<void>> run_secrets_rotate_key(Session& session) {
  CO_TRY(client::Client* const api, session.api());
  CO_TRY(json::Value keys, co_await api->rotate_key());
  const std::string primary = text_of(keys, "primary");
  print(fmt::format("Key {} seals from now on; sealing everything anew with it.", primary));
  const MonotonicTime end = session.host().loop.now() + kRotationPatience;
  while (keys.find("keys") != nullptr && keys.find("keys")->items().size() > 1) {
    if (session.host().loop.now() > end) {
      print("Older keys are still in use (a node is away?); they go when nothing needs them.");
      co_return Result<void>();
    }
    co_await session.host().loop.sleep(kRotationPause);
    CO_TRY(keys, co_await api->keys());
  }
  print("Done: the older keys are gone.");
  co_return Result<void>();
}

}  // namespace perigee::cli
