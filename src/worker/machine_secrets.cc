#include "worker/machine_secrets.h"

#include "crypto/aead.h"

namespace perigee::worker {

async::Task<Result<std::vector<std::string>>> MachineSecrets::open(model::Machine machine) {
  std::vector<std::string> out;
  if (machine.secrets.empty()) co_return out;
  if (!keys_) {
    CO_TRY(keys_, co_await secrets::KeyFile::open(host_, path_));
  }
  for (const auto& [name, sealed] : machine.secrets) {
    secrets::Place place{secrets::Kind::app_secret, fmt::format("{}/{}", machine.app, name)};
    CO_TRY(std::string value, co_await keys_->open_value(std::move(place), sealed));
    out.push_back(fmt::format("{}={}", name, value));
    crypto::wipe(value);
  }
  co_return out;
}

void add_sealing_keys(const model::Machine& machine, std::set<std::string>& keys) {
  for (const auto& [name, text] : machine.secrets) {
    if (const auto sealed = secrets::parse_sealed(text)) keys.insert(sealed->key_id);
  }
}

}  // namespace perigee::worker
