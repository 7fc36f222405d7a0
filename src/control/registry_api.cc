#include "control/registry_api.h"

#include <algorithm>

#include "control/limits.h"
#include "control/registry_logins.h"

namespace perigee::control {
namespace {

using api::Call;
using api::Reply;

// As RFC 7617 wants them; the error shows neither.
Result<void> check_words(const std::string& username, const std::string& password) {
  const auto clean = [](const std::string& text) {
    return !text.empty() && text.size() <= kMaxRegistryWord &&
           std::ranges::none_of(text, [](unsigned char c) { return c < ' ' || c == 0x7f; });
  };
  if (!clean(username) || username.find(':') != username.npos) {
    return fail(Code::invalid_argument,
                "username: expected 1 to {} characters, no colon and no control character",
                kMaxRegistryWord);
  }
  if (!clean(password)) {
    return fail(Code::invalid_argument,
                "password: expected 1 to {} characters, no control character", kMaxRegistryWord);
  }
  return {};
}

}  // namespace

void RegistryApi::add_routes(api::RouteTable& table, const api::Guard& guard) {
  const std::string all = "/v1/registries";
  const std::string one = all + "/{registry}";
  table.answer("GET", all, guard, [this](Call&) { return list(); });
  table.answer("GET", one, guard, [this](Call& call) { return show(call); });
  table.answer("PUT", one, guard, [this](Call& call) { return put_login(call); });
  table.answer("DELETE", one, guard, [this](Call& call) { return remove(call); });
}

Result<Stored<model::RegistryLogin>> RegistryApi::find(const Call& call) const {
  TRY(const std::string registry, parse_registry(call.param("registry")));
  const auto found = context_.desired.registries().find(registry);
  if (found != context_.desired.registries().end()) return found->second;
  return fail(Code::not_found, "registry {}: there is no log-in; `perigee registry login {}`",
              registry, registry);
}

async::Task<Result<Reply>> RegistryApi::list() {
  json::Value out = json::array();
  for (const auto& [name, stored] : context_.desired.registries())
    out.push(model::public_registry_login(stored.value));
  co_return Reply{200, json::object({{"registries", std::move(out)}})};
}

async::Task<Result<Reply>> RegistryApi::show(Call& call) {
  CO_TRY(const auto stored, find(call));
  co_return Reply{200, model::public_registry_login(stored.value)};
}

async::Task<Result<Reply>> RegistryApi::put_login(Call& call) {
  model::RegistryLogin login;
  CO_TRY(login.registry, parse_registry(call.param("registry")));
  CO_TRY(login.username, call.body.require_string("username"));
  CO_TRY(const std::string password, call.body.require_string("password"));
  CO_TRY_VOID(check_words(login.username, password));
  const auto& all = context_.desired.registries();
  const auto before = all.find(login.registry);
  const bool known = before != all.end();
  if (!known && all.size() >= kMaxRegistries)
    co_return fail(Code::resource_exhausted, "there are {} log-ins at registries: that is the most",
                   all.size());
  const secrets::Place place = place_of_registry(login.registry);
  const secrets::KeyRing& ring = context_.keys.ring();
  CO_TRY(login.sealed_password, ring.seal(place, password, context_.host.entropy));
  login.digest = ring.digest(place, password);
  login.updated_at = context_.host.clock.wall();
  login.created_at = known ? before->second.value.created_at : login.updated_at;
  store::Transaction transaction;
  put(transaction, login, known ? before->second.revision : 0);
  CO_TRY_VOID(co_await context_.commit(std::move(transaction)));
  co_return Reply{200, model::public_registry_login(login)};
}

async::Task<Result<Reply>> RegistryApi::remove(Call& call) {
  CO_TRY(const auto stored, find(call));
  const std::string key = registry_key(stored.value.registry);
  store::Transaction transaction;
  transaction.expect(key, stored.revision);
  transaction.remove(key);
  CO_TRY_VOID(co_await context_.commit(std::move(transaction)));
  co_return Reply{200, json::object({{"ok", true}})};
}

}  // namespace perigee::control
