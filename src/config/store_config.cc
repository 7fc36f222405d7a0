#include "config/store_config.h"

#include <utility>

#include "config/toml.h"

namespace perigee::config {
namespace {

Result<void> read_engine(Section& store, StoreConfig& config) {
  TRY(const auto engine, store.string("engine"));
  if (!engine || *engine == "sqlite") return {};
  if (*engine != "etcd")
    return store.wrong("engine", fmt::format("'{}' is not sqlite or etcd", *engine));
  config.engine = StoreConfig::Engine::etcd;
  return {};
}

Result<void> read_etcd(Section& store, StoreConfig& config) {
  TRY(auto endpoints, store.strings("endpoints"));
  if (endpoints) config.endpoints = *std::move(endpoints);
  const std::pair<const char*, std::string StoreConfig::*> texts[] = {
      {"ca", &StoreConfig::ca_file},
      {"certificate", &StoreConfig::certificate_file},
      {"key", &StoreConfig::key_file},
      {"user", &StoreConfig::user},
      {"password_file", &StoreConfig::password_file},
      {"prefix", &StoreConfig::prefix},
  };
  for (const auto& [key, member] : texts) {
    TRY(auto text, store.string(key));
    if (text) config.*member = *std::move(text);
  }
  return {};
}

Result<void> check(const Section& store, const StoreConfig& config) {
  if (config.engine == StoreConfig::Engine::etcd && config.endpoints.empty())
    return store.wrong("endpoints",
                       "etcd needs the addresses of its members, such as "
                       "[\"https://10.0.0.1:2379\"]");
  if (config.certificate_file.empty() != config.key_file.empty())
    return store.wrong("certificate", "certificate and key go together");
  if (config.user.empty() != config.password_file.empty())
    return store.wrong("user", "user and password_file go together");
  return {};
}

}  // namespace

Result<StoreConfig> read_store_config(Section& top) {
  StoreConfig config;
  TRY(auto store, top.section("store"));
  if (!store) return config;
  TRY_VOID(read_engine(*store, config));
  TRY_VOID(read_etcd(*store, config));
  TRY_VOID(check(*store, config));
  store->warn_unknown();
  return config;
}

}  // namespace perigee::config
