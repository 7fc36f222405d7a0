#include "store/open.h"

#include "base/text.h"
#include "store/etcd_store.h"
#include "store/sqlite_store.h"

namespace perigee::store {
namespace {

constexpr std::size_t kMaxPemFile = 256 * 1024;

// An unset path is an empty text.
async::Task<Result<std::string>> read_named(sys::Host& host, std::string key, std::string path) {
  if (path.empty()) co_return std::string();
  CO_TRY_AS(std::string text, co_await host.disk.read_file(path, kMaxPemFile),
            fmt::format("{} of [store]", key));
  co_return text;
}

}  // namespace

async::Task<Result<EtcdOptions>> etcd_options(sys::Host& host, config::StoreConfig config) {
  EtcdOptions options;
  options.endpoints = std::move(config.endpoints);
  options.user = std::move(config.user);
  options.prefix = std::move(config.prefix);
  CO_TRY(options.ca_pem, co_await read_named(host, "ca", config.ca_file));
  CO_TRY(options.identity.certificate_pem,
         co_await read_named(host, "certificate", config.certificate_file));
  CO_TRY(options.identity.private_key_pem, co_await read_named(host, "key", config.key_file));
  CO_TRY(const std::string password,
         co_await read_named(host, "password_file", config.password_file));
  options.password = std::string(trim(password));
  co_return options;
}

async::Task<Result<std::unique_ptr<Store>>> open_store(sys::Host& host, config::StoreConfig config,
                                                       std::string sqlite_path) {
  if (config.engine == config::StoreConfig::Engine::sqlite) {
    CO_TRY(std::unique_ptr<Store> store, co_await SqliteStore::open(host, std::move(sqlite_path)));
    co_return std::move(store);
  }
  CO_TRY(EtcdOptions options, co_await etcd_options(host, std::move(config)));
  CO_TRY(std::unique_ptr<Store> store, co_await EtcdStore::open(host, std::move(options)));
  co_return std::move(store);
}

}  // namespace perigee::store
