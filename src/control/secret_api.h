// The public API's secrets: /v1/apps/{app}/secrets and below. Values come in and never go out: what
// is shown of one is its digest. A change is staged: machines get it with their next version.
#pragma once

#include "api/route_table.h"
#include "control/context.h"

namespace perigee::control {

class SecretApi {
 public:
  explicit SecretApi(const Context& context) : context_(context) {}
  void add_routes(api::RouteTable& table, const api::Guard& guard);

 private:
  using Change = std::pair<std::string, const json::Value*>;  // name; a string, or null: removed

  async::Task<Result<api::Reply>> list(api::Call& call);
  async::Task<Result<api::Reply>> set(api::Call& call);      // {"values": {NAME: VALUE or null}}
  async::Task<Result<api::Reply>> set_one(api::Call& call);  // {"value": VALUE}
  async::Task<Result<api::Reply>> show(api::Call& call);
  async::Task<Result<api::Reply>> remove(api::Call& call);
  async::Task<Result<api::Reply>> change(AppName app, std::vector<Change> changes);
  Result<void> put_value(store::Transaction& transaction, const AppName& app,
                         const std::string& name, const std::string& value) const;
  Result<void> check_total(const AppName& app, const store::Transaction& transaction) const;
  json::Value view(const AppName& app) const;

  const Context& context_;
};

// Whether that can be an environment variable of an app's own: letters, digits and _, no digit
// first, and none of the platform's prefixes.
Result<void> check_secret_name(std::string_view name);

}  // namespace perigee::control
