#include "control/app_api.h"

#include "control/app_numbers.h"
#include "control/limits.h"
#include "control/machine_frontend.h"
#include "control/port_claims.h"
#include "model/json.h"

namespace perigee::control {
namespace {

constexpr std::size_t kAppIdBytes = 8;
constexpr std::string_view kOrganization = "personal";

std::string_view status_of(const model::App& app, bool has_machines) {
  return app.current_release > 0 || has_machines ? "deployed" : "pending";
}

Result<void> check_organization(const json::Value& body) {
  TRY(const std::string slug, body.optional_string("org_slug", std::string(kOrganization)));
  if (slug.empty() || slug == kOrganization) return {};
  return fail(Code::unsupported, "org_slug: there is one organization here, \"{}\"", kOrganization);
}

}  // namespace

Result<AppName> app_of(const api::Call& call) {
  return model::parse_app_name(call.param("app"));
}

void AppApi::add_routes(api::RouteTable& table, const api::Guard& guard) {
  table.answer("GET", "/v1/apps", guard, [this](api::Call&) { return list(); });
  table.answer("POST", "/v1/apps", guard, [this](api::Call& call) { return create(call); });
  table.answer("GET", "/v1/apps/{app}", guard, [this](api::Call& call) { return show(call); });
  table.answer("DELETE", "/v1/apps/{app}", guard,
               [this](api::Call& call) { return destroy(call); });
}

json::Value AppApi::view(const model::App& app) const {
  const std::size_t machines = context_.desired.machines_of(app.name).size();
  return json::object(
      {{"id", app.id},
       {"name", app.name.str()},
       {"status", status_of(app, machines > 0)},
       {"hostname", context_.publisher.host_of(app.name)},
       {"machine_count", static_cast<std::int64_t>(machines)},
       {"volume_count", static_cast<std::int64_t>(context_.desired.volumes_of(app.name).size())},
       {"network", "default"},
       {"current_release", app.current_release},
       {"last_release", app.last_release},
       {"created_at", to_rfc3339(app.created_at)},
       {"organization", json::object({{"name", kOrganization}, {"slug", kOrganization}})}});
}

async::Task<Result<api::Reply>> AppApi::list() {
  json::Value apps = json::array();
  for (const auto& [name, stored] : context_.desired.apps()) apps.push(view(stored.value));
  const auto total = static_cast<std::int64_t>(context_.desired.apps().size());
  co_return api::Reply{200, json::object({{"total_apps", total}, {"apps", std::move(apps)}})};
}

async::Task<Result<api::Reply>> AppApi::create(api::Call& call) {
  CO_TRY(std::string name, call.body.optional_string("app_name"));
  if (name.empty()) {
    CO_TRY(name, call.body.optional_string("name"));
  }
  if (name.empty()) co_return fail(Code::invalid_argument, "app_name: missing");
  CO_TRY_VOID(check_organization(call.body));
  model::App app;
  CO_TRY_AS(app.name, model::parse_app_name(name), "app_name");
  if (context_.desired.apps().contains(app.name))
    co_return fail(Code::already_exists, "app \"{}\" exists already; choose another name", name);
  if (context_.desired.apps().size() >= kMaxApps)
    co_return fail(Code::resource_exhausted, "there are {} apps: that is the most", kMaxApps);
  app.id = sys::random_hex(context_.host.entropy, kAppIdBytes);
  app.created_at = context_.host.clock.wall();
  const std::string host = context_.publisher.host_of(app.name);
  CO_TRY(const CertificateRecord certificate, context_.certificates.issue(host));
  store::Transaction transaction;
  give_number(context_, transaction, app);
  put(transaction, app, 0);
  transaction.put(certificate_key(host), to_json(certificate).dump());
  const Result<void> done = co_await context_.commit(std::move(transaction));
  if (!done && done.error().code == Code::conflict)
    co_return fail(Code::already_exists, "app \"{}\" exists already; choose another name", name);
  CO_TRY_VOID(done);
  co_return api::Reply{201, view(app)};
}

async::Task<Result<api::Reply>> AppApi::show(api::Call& call) {
  CO_TRY(const AppName name, app_of(call));
  CO_TRY(const Stored<model::App> app, context_.desired.app(name));
  co_return api::Reply{200, view(app.value)};
}

// App, releases and the order to destroy its machines go in one transaction, so that no deploy can
// slip a machine in between; the machines' keys stay until their workers have removed them.
async::Task<Result<api::Reply>> AppApi::destroy(api::Call& call) {
  CO_TRY(const AppName name, app_of(call));
  CO_TRY(const Stored<model::App> app, context_.desired.app(name));
  store::Transaction transaction;
  transaction.expect(app_key(name), app.revision);
  transaction.remove(app_key(name));
  transaction.remove(app_number_key(app.value.number));
  release_ports(transaction, app.value);
  for (const model::AppAddress& each : app.value.addresses) {
    transaction.remove(address_key(each.address));
  }
  transaction.remove(certificate_key(context_.publisher.host_of(name)));
  for (const std::string& host : context_.desired.hosts_of(name)) {
    transaction.remove(host_key(host));
  }
  for (auto at = context_.desired.releases().lower_bound({name, 0});
       at != context_.desired.releases().end() && at->first.first == name; ++at)
    transaction.remove(release_key(name, at->first.second));
  for (const auto& [secret, stored] : context_.desired.secrets_of(name))
    transaction.remove(secret_key(name, secret));
  for (const Stored<model::Machine>& each : context_.desired.machines_of(name))
    put(transaction, destroyed(each.value, context_.host.clock.wall()), each.revision);
  for (Stored<model::Volume>& each : context_.desired.volumes_of(name)) {
    each.value.destroyed = true;  // its worker waits for the machine that has it
    put(transaction, each.value, each.revision);
  }
  CO_TRY_VOID_AS(co_await context_.commit(std::move(transaction)),
                 fmt::format("destroy app \"{}\"", name));
  co_return api::Reply{202, {}};
}

}  // namespace perigee::control
