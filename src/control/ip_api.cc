#include "control/ip_api.h"

#include <algorithm>

#include "control/app_api.h"
#include "control/port_claims.h"
#include "control/records.h"
#include "model/limits.h"

namespace perigee::control {
namespace {

json::Value view(const model::AppAddress& address) {
  const bool ipv6 = address.address.find(':') != std::string::npos;
  return json::object({{"ip", address.address},
                       {"type", ipv6 ? "v6" : "v4"},
                       {"region", "global"},
                       {"shared", false},
                       {"created_at", to_rfc3339(address.created_at)}});
}

Result<IpVersion> version_in(const json::Value& body) {
  TRY(const std::string type, body.require_string("type"));
  if (type == "v4") return IpVersion::v4;
  if (type == "v6") return IpVersion::v6;
  return fail(Code::invalid_argument, "type: '{}' is not v4 or v6", type);
}

std::set<std::string> taken_addresses(const DesiredTable& desired) {
  std::set<std::string> out;
  for (const auto& [name, stored] : desired.apps()) {
    for (const model::AppAddress& each : stored.value.addresses) out.insert(each.address);
  }
  return out;
}

}  // namespace

void IpApi::add_routes(api::RouteTable& table, const api::Guard& guard) {
  const std::string all = "/v1/apps/{app}/ip_assignments";
  table.answer("GET", all, guard, [this](api::Call& call) { return list(call); });
  table.answer("POST", all, guard, [this](api::Call& call) { return allocate(call); });
  table.answer("DELETE", all + "/{ip}", guard, [this](api::Call& call) { return release(call); });
}

async::Task<Result<api::Reply>> IpApi::list(api::Call& call) {
  CO_TRY(const AppName name, app_of(call));
  CO_TRY(const Stored<model::App> app, context_.desired.app(name));
  json::Value ips = json::array();
  for (const model::AppAddress& each : app.value.addresses) ips.push(view(each));
  co_return api::Reply{
      200, json::object(
               {{"ips", std::move(ips)}, {"shared_ports", json::strings(app.value.shared_ports)}})};
}

// The address's own key keeps two controls from giving it twice.
async::Task<Result<api::Reply>> IpApi::allocate(api::Call& call) {
  CO_TRY(const AppName name, app_of(call));
  CO_TRY(const IpVersion version, version_in(call.body));
  CO_TRY(Stored<model::App> app, context_.desired.app(name));
  if (app.value.addresses.size() >= model::kMaxAddresses) {
    co_return fail(Code::resource_exhausted, "app \"{}\" has {} addresses: that is the most", name,
                   model::kMaxAddresses);
  }
  CO_TRY(const std::string address,
         free_address(prefixes_, version, taken_addresses(context_.desired)));
  const model::AppAddress given{.address = address, .created_at = context_.host.clock.wall()};
  app.value.addresses.push_back(given);
  store::Transaction transaction;
  transaction.expect(address_key(address), 0);
  transaction.put(address_key(address), json::object({{"app", name.str()}}).dump());
  put(transaction, app.value, app.revision);
  CO_TRY_VOID_AS(co_await context_.commit(std::move(transaction)), "address " + address);
  co_return api::Reply{200, view(given)};
}

async::Task<Result<api::Reply>> IpApi::release(api::Call& call) {
  CO_TRY(const AppName name, app_of(call));
  CO_TRY(Stored<model::App> app, context_.desired.app(name));
  const std::string address = call.param("ip");
  const auto removed = std::erase_if(
      app.value.addresses, [&](const model::AppAddress& each) { return each.address == address; });
  if (removed == 0) {
    co_return fail(Code::not_found, "app \"{}\" has no address {} (perigee ips list)", name,
                   address);
  }
  store::Transaction transaction;
  transaction.remove(address_key(address));
  // Without it the app may need ports of the nodes' own addresses.
  CO_TRY_VOID_AS(claim_ports(context_, transaction, app.value, {}), "release " + address);
  put(transaction, app.value, app.revision);
  CO_TRY_VOID_AS(co_await context_.commit(std::move(transaction)), "release " + address);
  co_return api::Reply{200, json::object({{"ok", true}})};
}

}  // namespace perigee::control
