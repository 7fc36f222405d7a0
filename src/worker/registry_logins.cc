#include "worker/registry_logins.h"

#include <utility>

#include "base/log.h"
#include "worker/limits.h"

namespace perigee::worker {
namespace {

Result<std::map<std::string, model::RegistryLogin>> logins_from(std::string_view text) {
  TRY(const json::Value document, json::parse(text));
  std::map<std::string, model::RegistryLogin> out;
  for (const json::Value& each : document.items()) {
    TRY(model::RegistryLogin login, model::registry_login_from(each));
    out.insert_or_assign(login.registry, std::move(login));
  }
  return out;
}

}  // namespace

RegistryLogins::RegistryLogins(sys::Host& host, std::string path, Unsealer& unsealer)
    : host_(host),
      path_(std::move(path)),
      unsealer_(unsealer),
      dirtied_(host.loop),
      tasks_(host.loop) {}

// A file that can't be read costs pulls until control answers, and nothing more.
async::Task<Result<void>> RegistryLogins::load() {
  const auto text = co_await host_.disk.read_file(path_, kMaxRegistriesFile);
  if (!text && text.error().code != Code::not_found) co_return fail(text.error());
  if (text) {
    auto logins = logins_from(*text);
    if (logins) {
      logins_ = *std::move(logins);
    } else {
      log_error("worker", "{}: {}; waiting for control's", path_, logins.error().context);
    }
  }
  tasks_.spawn(keep(*this));
  co_return Result<void>();
}

async::Task<void> RegistryLogins::keep(RegistryLogins& self) {
  for (;;) {
    while (!self.dirty_) co_await self.dirtied_.wait();
    self.dirty_ = false;
    const Result<void> saved = co_await self.save();
    if (saved) continue;
    log_error("worker", "{}: {}; trying again", self.path_, saved.error().context);
    self.dirty_ = true;
    co_await self.host_.loop.sleep(kRetryAction);
  }
}

async::Task<Result<void>> RegistryLogins::save() {
  json::Value all = json::array();
  for (const auto& [registry, login] : logins_) all.push(model::to_json(login));
  co_return co_await host_.disk.write_file(path_, all.dump(), 0600, sys::Durability::synced);
}

void RegistryLogins::changed() {
  dirty_ = true;
  dirtied_.notify_all();
}

void RegistryLogins::want(model::RegistryLogin login) {
  const auto known = logins_.find(login.registry);
  if (known != logins_.end() && known->second == login) return;
  if (known == logins_.end() && logins_.size() >= kMaxRegistries) {
    return log_error("worker", "registry {}: there are {} log-ins already; ignored", login.registry,
                     kMaxRegistries);
  }
  std::string registry = login.registry;
  logins_.insert_or_assign(std::move(registry), std::move(login));
  changed();
}

void RegistryLogins::gone(const std::string& registry) {
  if (logins_.erase(registry) > 0) changed();
}

void RegistryLogins::synced(const std::set<std::string>& known) {
  const auto removed =
      std::erase_if(logins_, [&](const auto& each) { return !known.contains(each.first); });
  if (removed > 0) changed();
}

async::Task<Result<image::Login>> RegistryLogins::login_for(std::string registry) {
  const auto found = logins_.find(registry);
  if (found == logins_.end()) co_return image::Login{};
  const model::RegistryLogin stored = found->second;
  image::Login login{.username = stored.username, .password = {}};
  CO_TRY(login.password, co_await unsealer_.registry_password(stored));
  co_return login;
}

void RegistryLogins::add_sealing_keys(std::set<std::string>& keys) const {
  for (const auto& [registry, login] : logins_) worker::add_sealing_keys(login, keys);
}

}  // namespace perigee::worker
