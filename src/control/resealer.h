// Resealer: brings everything that is kept sealed under the ring's primary key, and retires the
// keys that nothing uses any more. It remembers nothing that matters: killed, the next one goes on,
// because what is left to do is seen from the ring and the store. Also the public API's /v1/keys.
#pragma once

#include <map>
#include <string>

#include "api/route_table.h"
#include "control/context.h"
#include "control/fleet.h"

namespace perigee::control {

class Resealer {
 public:
  Resealer(const Context& context, const Fleet& fleet) : context_(context), fleet_(fleet) {}
  void add_routes(api::RouteTable& table, const api::Guard& guard);
  async::Task<void> run();  // for ever

  // By key: how many sealed values need it, in the store, in the CA's file, on nodes (by their
  // reports).
  std::map<std::string, std::int64_t> uses() const;

 private:
  enum class Progress { made, none };

  async::Task<Result<api::Reply>> list();
  async::Task<Result<api::Reply>> rotate();
  async::Task<Result<Progress>> step();
  async::Task<Result<void>> seal_fleet_anew(std::string ca_key);
  store::Transaction next_batch() const;
  void add_secrets(store::Transaction& transaction) const;
  void add_certificates(store::Transaction& transaction) const;
  void add_hosts(store::Transaction& transaction) const;
  void add_acme_account(store::Transaction& transaction) const;
  void add_machines(store::Transaction& transaction) const;
  void add_volumes(store::Transaction& transaction) const;
  void add_registries(store::Transaction& transaction) const;
  Result<std::string> sealed_anew(const secrets::Place& place, const std::string& sealed) const;
  async::Task<Result<Progress>> retire_unused();
  json::Value view() const;

  const Context& context_;
  const Fleet& fleet_;
  std::map<std::string, MonotonicTime> unused_since_;
};

}  // namespace perigee::control
