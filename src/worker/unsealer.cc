#include "worker/unsealer.h"

#include "crypto/aead.h"
#include "crypto/xts.h"

namespace perigee::worker {
namespace {

void add_key_of(const std::string& text, std::set<std::string>& keys) {
  if (const auto sealed = secrets::parse_sealed(text)) keys.insert(sealed->key_id);
}

}  // namespace

async::Task<Result<std::string>> Unsealer::open(secrets::Place place, std::string sealed) {
  if (!keys_) {
    CO_TRY(auto keys, co_await secrets::KeyFile::open(host_, path_));
    if (!keys_) keys_ = std::move(keys);  // somebody else may be using one that came meanwhile
  }
  co_return co_await keys_->open_value(std::move(place), std::move(sealed));
}

async::Task<Result<std::vector<std::string>>> Unsealer::app_secrets(model::Machine machine) {
  std::vector<std::string> out;
  for (const auto& [name, sealed] : machine.secrets) {
    secrets::Place place{secrets::Kind::app_secret, fmt::format("{}/{}", machine.app, name)};
    CO_TRY(std::string value, co_await open(std::move(place), sealed));
    out.push_back(fmt::format("{}={}", name, value));
    crypto::wipe(value);
  }
  co_return out;
}

async::Task<Result<std::string>> Unsealer::volume_key(model::Volume volume) {
  if (!volume.encrypted) co_return std::string();
  CO_TRY_AS(std::string key,
            co_await open({secrets::Kind::volume_key, volume.id.str()}, volume.sealed_key),
            fmt::format("the key of volume {}", volume.id));
  if (key.size() == crypto::kXtsKeyBytes) co_return key;
  co_return fail(Code::data_loss, "the key of volume {}: {} bytes long, not {}", volume.id,
                 key.size(), crypto::kXtsKeyBytes);
}

async::Task<Result<std::string>> Unsealer::registry_password(model::RegistryLogin login) {
  CO_TRY_AS(
      std::string password,
      co_await open({secrets::Kind::registry_password, login.registry}, login.sealed_password),
      fmt::format("the log-in at {}", login.registry));
  co_return password;
}

void add_sealing_keys(const model::Machine& machine, std::set<std::string>& keys) {
  for (const auto& [name, text] : machine.secrets) add_key_of(text, keys);
}

void add_sealing_keys(const model::Volume& volume, std::set<std::string>& keys) {
  add_key_of(volume.sealed_key, keys);
}

void add_sealing_keys(const model::RegistryLogin& login, std::set<std::string>& keys) {
  add_key_of(login.sealed_password, keys);
}

}  // namespace perigee::worker
