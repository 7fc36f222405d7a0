#include "control/secret_api.h"

#include <algorithm>

#include "control/app_api.h"
#include "control/limits.h"

namespace perigee::control {
namespace {

using api::Call;
using api::Reply;

secrets::Place place_of(const AppName& app, std::string_view name) {
  return {secrets::Kind::app_secret, fmt::format("{}/{}", app, name)};
}

json::Value secret_view(const std::string& name, const SecretRecord& record) {
  return json::object({{"name", name},
                       {"digest", record.digest},
                       {"created_at", to_rfc3339(record.created_at)},
                       {"updated_at", to_rfc3339(record.updated_at)}});
}

// The errors name the secret and never what it holds.
Result<void> check_value(const std::string& name, const std::string& value) {
  if (value.size() > kMaxSecretBytes) {
    return fail(Code::invalid_argument, "secret {}: at most {} bytes", name, kMaxSecretBytes);
  }
  if (value.find('\0') != std::string::npos) {
    return fail(Code::invalid_argument,
                "secret {}: a zero byte can't be in an environment variable (encode it, in base64 "
                "say)",
                name);
  }
  return {};
}

}  // namespace

Result<void> check_secret_name(std::string_view name) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  const bool good =
      !name.empty() && name.size() <= kMaxSecretName && letter(name.front()) &&
      std::ranges::all_of(name, [&](char c) { return letter(c) || (c >= '0' && c <= '9'); });
  if (!good) {
    return fail(Code::invalid_argument,
                "a secret's name has letters, digits and _, does not begin with a digit, and has "
                "at most {} characters",
                kMaxSecretName);
  }
  for (const std::string_view prefix : {"PERIGEE_", "FLY_"}) {
    if (name.starts_with(prefix)) {
      return fail(Code::invalid_argument, "secret {}: names that begin with {} are the platform's",
                  name, prefix);
    }
  }
  return {};
}

void SecretApi::add_routes(api::RouteTable& table, const api::Guard& guard) {
  const std::string all = "/v1/apps/{app}/secrets";
  const std::string one = all + "/{name}";
  table.answer("GET", all, guard, [this](Call& call) { return list(call); });
  table.answer("POST", all, guard, [this](Call& call) { return set(call); });
  table.answer("GET", one, guard, [this](Call& call) { return show(call); });
  table.answer("POST", one, guard, [this](Call& call) { return set_one(call); });
  table.answer("DELETE", one, guard, [this](Call& call) { return remove(call); });
}

json::Value SecretApi::view(const AppName& app) const {
  json::Value out = json::array();
  for (const auto& [name, stored] : context_.desired.secrets_of(app))
    out.push(secret_view(name, stored.value));
  return json::object({{"secrets", std::move(out)}});
}

async::Task<Result<Reply>> SecretApi::list(Call& call) {
  CO_TRY(const AppName app, app_of(call));
  CO_TRY([[maybe_unused]] const auto known, context_.desired.app(app));
  co_return Reply{200, view(app)};
}

async::Task<Result<Reply>> SecretApi::show(Call& call) {
  CO_TRY(const AppName app, app_of(call));
  CO_TRY([[maybe_unused]] const auto known, context_.desired.app(app));
  const std::string& name = call.param("name");
  const auto found = context_.desired.secrets().find({app, name});
  if (found == context_.desired.secrets().end())
    co_return fail(Code::not_found, "app \"{}\" has no secret {}", app, name);
  co_return Reply{200, secret_view(name, found->second.value)};
}

async::Task<Result<Reply>> SecretApi::set(Call& call) {
  CO_TRY(const AppName app, app_of(call));
  const json::Value* values = call.body.find("values");
  if (values == nullptr || !values->is_object() || values->members().empty())
    co_return fail(Code::invalid_argument, "values: expected an object of names and strings");
  std::vector<Change> changes;
  for (const auto& [name, value] : values->members()) changes.emplace_back(name, &value);
  co_return co_await change(app, std::move(changes));
}

async::Task<Result<Reply>> SecretApi::set_one(Call& call) {
  CO_TRY(const AppName app, app_of(call));
  const json::Value* value = call.body.find("value");
  if (value == nullptr || !value->is_string())
    co_return fail(Code::invalid_argument, "value: expected a string");
  std::vector<Change> changes{{call.param("name"), value}};
  co_return co_await change(app, std::move(changes));
}

async::Task<Result<Reply>> SecretApi::remove(Call& call) {
  CO_TRY(const AppName app, app_of(call));
  const json::Value null;
  std::vector<Change> changes{{call.param("name"), &null}};
  co_return co_await change(app, std::move(changes));
}

// All of them or none, and only for an app that is there.
async::Task<Result<Reply>> SecretApi::change(AppName app, std::vector<Change> changes) {
  CO_TRY(const Stored<model::App> known, context_.desired.app(app));
  store::Transaction transaction;
  transaction.expect(app_key(app), known.revision);
  for (const auto& [name, value] : changes) {
    CO_TRY_VOID(check_secret_name(name));
    if (value->is_null()) {
      if (!context_.desired.secrets().contains({app, name}))
        co_return fail(Code::not_found, "app \"{}\" has no secret {}", app, name);
      transaction.remove(secret_key(app, name));
    } else if (const std::string* text = value->string()) {
      CO_TRY_VOID(put_value(transaction, app, name, *text));
    } else {
      co_return fail(Code::invalid_argument, "secret {}: expected a string, or null to remove it",
                     name);
    }
  }
  CO_TRY_VOID(check_total(app, transaction));
  CO_TRY_VOID_AS(co_await context_.commit(std::move(transaction)), "secrets");
  co_return Reply{200, view(app)};
}

Result<void> SecretApi::put_value(store::Transaction& transaction, const AppName& app,
                                  const std::string& name, const std::string& value) const {
  TRY_VOID(check_value(name, value));
  const auto before = context_.desired.secrets().find({app, name});
  const bool known = before != context_.desired.secrets().end();
  SecretRecord record;
  const secrets::Place place = place_of(app, name);
  TRY(record.sealed, context_.keys.ring().seal(place, value, context_.host.entropy));
  record.digest = context_.keys.ring().digest(place, value);
  record.updated_at = context_.host.clock.wall();
  record.created_at = known ? before->second.value.created_at : record.updated_at;
  put(transaction, app, name, record, known ? before->second.revision : 0);
  return {};
}

// What the app would have after this change, against the bounds.
Result<void> SecretApi::check_total(const AppName& app,
                                    const store::Transaction& transaction) const {
  std::map<std::string, std::size_t> sizes;
  for (const auto& [name, stored] : context_.desired.secrets_of(app))
    sizes[secret_key(app, name)] = stored.value.sealed.size();
  for (const store::Transaction::Change& change : transaction.changes) {
    if (change.value)
      sizes[change.key] = change.value->size();
    else
      sizes.erase(change.key);
  }
  std::size_t total = 0;
  for (const auto& [key, bytes] : sizes) total += bytes;
  if (sizes.size() <= kMaxSecrets && total <= kMaxSecretsBytes) return {};
  return fail(
      Code::invalid_argument,
      "an app has at most {} secrets, {} KiB in all (sealed); keep large things in a volume",
      kMaxSecrets, kMaxSecretsBytes / 1024);
}

}  // namespace perigee::control
