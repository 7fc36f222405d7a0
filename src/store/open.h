// open_store: the engine that perigeed.toml asks for.
//
// Control calls it once; `perigee store` as well, on a node with control.
#pragma once

#include <memory>
#include <string>

#include "config/store_config.h"
#include "store/etcd_client.h"
#include "store/store.h"
#include "sys/host.h"

namespace perigee::store {

// `sqlite_path`: where the file of the sqlite engine is.
async::Task<Result<std::unique_ptr<Store>>> open_store(sys::Host& host, config::StoreConfig config,
                                                       std::string sqlite_path);
// Reads the files that `config` names.
async::Task<Result<EtcdOptions>> etcd_options(sys::Host& host, config::StoreConfig config);

}  // namespace perigee::store
