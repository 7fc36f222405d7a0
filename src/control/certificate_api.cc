#include "control/certificate_api.h"

#include <algorithm>

#include "control/app_api.h"
#include "control/limits.h"
#include "crypto/aead.h"
#include "crypto/certificate_check.h"
#include "model/host_name.h"
#include "model/limits.h"

namespace perigee::control {
namespace {

using api::Call;
using api::Reply;
using Source = HostCertificate::Source;

json::Value certificate_view(const HostCertificate& certificate) {
  return json::object({{"type", crypto::name(certificate.key_type)},
                       {"source", name(certificate.source)},
                       {"issuer", certificate.issuer},
                       {"created_at", to_rfc3339(certificate.obtained_at)},
                       {"not_before", to_rfc3339(certificate.not_before)},
                       {"expires_at", to_rfc3339(certificate.not_after)}});
}

json::Value dns_record(std::string_view type, const std::string& host, const std::string& value) {
  return json::object({{"type", type}, {"name", host}, {"value", value}});
}

}  // namespace

void CertificateApi::add_routes(api::RouteTable& table, const api::Guard& guard) {
  const std::string all = "/v1/apps/{app}/certificates";
  const std::string one = all + "/{host}";
  table.answer("GET", all, guard, [this](Call& call) { return list(call); });
  table.answer("POST", all + "/acme", guard, [this](Call& call) { return add_automatic(call); });
  table.answer("POST", all + "/custom", guard, [this](Call& call) { return import(call); });
  table.answer("GET", one, guard, [this](Call& call) { return show(call); });
  table.answer("POST", one + "/check", guard, [this](Call& call) { return check(call); });
  table.answer("DELETE", one, guard, [this](Call& call) { return remove(call, Part::all); });
  table.answer("DELETE", one + "/acme", guard,
               [this](Call& call) { return remove(call, Part::acme); });
  table.answer("DELETE", one + "/custom", guard,
               [this](Call& call) { return remove(call, Part::custom); });
}

// What users' DNS must say for requests to come here.
json::Value CertificateApi::dns_records(const HostRecord& record) const {
  json::Value out = json::array();
  const auto app = context_.desired.app(record.app);
  if (app && !app->value.addresses.empty()) {
    for (const model::AppAddress& each : app->value.addresses) {
      const bool ipv6 = each.address.find(':') != std::string::npos;
      out.push(dns_record(ipv6 ? "AAAA" : "A", record.host, each.address));
    }
    return out;
  }
  out.push(dns_record("CNAME", record.host, context_.publisher.host_of(record.app)));
  return out;
}

json::Value CertificateApi::view(const HostRecord& record) const {
  json::Value certificates = json::array();
  for (const HostCertificate& each : record.certificates) certificates.push(certificate_view(each));
  json::Value out = json::object({{"hostname", record.host},
                                  {"app", record.app.str()},
                                  {"state", name(state_of(record, context_.host.clock.wall()))},
                                  {"automatic", record.automatic},
                                  {"certificates", std::move(certificates)},
                                  {"dns_records", dns_records(record)},
                                  {"created_at", to_rfc3339(record.created_at)}});
  if (const auto end = end_of(record)) out.set("expires_at", to_rfc3339(*end));
  if (!record.last_error.empty()) out.set("last_error", record.last_error);
  const auto next =
      context_.authority == nullptr ? std::nullopt : next_order(record, context_.acme);
  if (next) out.set("next_order_at", to_rfc3339(next->at));
  return out;
}

async::Task<Result<Reply>> CertificateApi::list(Call& call) {
  CO_TRY(const AppName app, app_of(call));
  CO_TRY([[maybe_unused]] const auto known, context_.desired.app(app));
  json::Value out = json::array();
  for (const std::string& host : context_.desired.hosts_of(app)) {
    out.push(view(context_.desired.hosts().at(host).value));
  }
  co_return Reply{200, json::object({{"certificates", std::move(out)}})};
}

async::Task<Result<Reply>> CertificateApi::show(Call& call) {
  CO_TRY(const Stored<HostRecord> host, known_host(call));
  co_return Reply{200, view(host.value)};
}

Result<std::string> CertificateApi::host_in(const std::string& text) const {
  TRY_AS(std::string host, model::parse_host_name(text), "hostname");
  const bool ours = host == domain_ || host.ends_with("." + domain_);
  if (!ours) return host;
  return fail(Code::invalid_argument,
              "hostname: {} is below {}, where each app has its own name with a certificate", host,
              domain_);
}

Result<Stored<HostRecord>> CertificateApi::known_host(Call& call) const {
  TRY(const AppName app, app_of(call));
  TRY([[maybe_unused]] const auto known, context_.desired.app(app));
  TRY(const std::string host, host_in(call.param("host")));
  const auto found = context_.desired.hosts().find(host);
  if (found != context_.desired.hosts().end() && found->second.value.app == app)
    return found->second;
  return fail(Code::not_found, "app \"{}\" has no host {} (perigee certs add {} -a {})", app, host,
              host, app);
}

// The app's record of it, new where nobody has it.
Result<Stored<HostRecord>> CertificateApi::claim(const AppName& app,
                                                 const std::string& host) const {
  const auto found = context_.desired.hosts().find(host);
  if (found != context_.desired.hosts().end()) {
    if (found->second.value.app == app) return found->second;
    return fail(Code::conflict, "{} is app {}'s (perigee certs remove {} -a {} gives it up)", host,
                found->second.value.app, host, found->second.value.app);
  }
  if (context_.desired.hosts_of(app).size() >= model::kMaxHosts) {
    return fail(Code::resource_exhausted, "app \"{}\" has {} hosts: that is the most", app,
                model::kMaxHosts);
  }
  if (context_.desired.hosts().size() >= kMaxHostsOfFleet) {
    return fail(Code::resource_exhausted, "the fleet has {} hosts: that is the most",
                kMaxHostsOfFleet);
  }
  Stored<HostRecord> out;
  out.value.host = host;
  out.value.app = app;
  out.value.created_at = context_.host.clock.wall();
  return out;
}

// For an app that is there alone. The host's own key keeps two controls from giving it twice.
async::Task<Result<Reply>> CertificateApi::write(AppName app, Stored<HostRecord> host, int status) {
  CO_TRY(const Stored<model::App> known, context_.desired.app(app));
  store::Transaction transaction;
  transaction.expect(app_key(app), known.revision);
  put(transaction, host.value, host.revision);
  CO_TRY_VOID_AS(co_await context_.commit(std::move(transaction)), "host " + host.value.host);
  co_return Reply{status, view(host.value)};
}

async::Task<Result<Reply>> CertificateApi::add_automatic(Call& call) {
  CO_TRY(const AppName app, app_of(call));
  CO_TRY([[maybe_unused]] const auto known, context_.desired.app(app));
  CO_TRY(const std::string text, call.body.require_string("hostname"));
  CO_TRY(const std::string host, host_in(text));
  if (model::is_wildcard(host)) {
    co_return fail(Code::unsupported,
                   "{}: authorities give wildcards for DNS challenges only; bring a certificate: "
                   "perigee certs import '{}' -a {}",
                   host, host, app);
  }
  if (context_.authority == nullptr) {
    co_return fail(Code::unsupported,
                   "no authority is configured: name its directory in perigeed.toml ([acme] "
                   "directory), or bring a certificate: perigee certs import {} -a {}",
                   host, app);
  }
  CO_TRY(Stored<HostRecord> record, claim(app, host));
  record.value.automatic = true;
  co_return co_await write(app, std::move(record), 201);
}

async::Task<Result<Reply>> CertificateApi::import(Call& call) {
  CO_TRY(const AppName app, app_of(call));
  CO_TRY([[maybe_unused]] const auto known, context_.desired.app(app));
  CO_TRY(const std::string text, call.body.require_string("hostname"));
  CO_TRY(const std::string host, host_in(text));
  CO_TRY(const std::string chain, call.body.require_string("fullchain"));
  CO_TRY(std::string key, call.body.require_string("private_key"));
  CO_TRY(Stored<HostRecord> record, claim(app, host));
  const WallTime now = context_.host.clock.wall();
  auto checked = crypto::check_certificate(chain, key, host, now);
  auto sealed = context_.keys.ring().seal(Certificates::place_of(host), key, context_.host.entropy);
  crypto::wipe(key);
  if (!checked) co_return fail(std::move(checked).error());
  if (!sealed) co_return fail(std::move(sealed).error());
  record.value.set({.key_type = checked->key_type,
                    .source = Source::uploaded,
                    .chain_pem = std::move(checked->chain_pem),
                    .private_key = *std::move(sealed),
                    .issuer = std::move(checked->issuer),
                    .obtained_at = now,
                    .not_before = checked->not_before,
                    .not_after = checked->not_after});
  co_return co_await write(app, std::move(record), 201);
}

// Has the next order placed soon, where one is due at all.
async::Task<Result<Reply>> CertificateApi::check(Call& call) {
  CO_TRY(Stored<HostRecord> host, known_host(call));
  if (host.value.failures == 0) co_return Reply{200, view(host.value)};
  host.value.asked_at = context_.host.clock.wall();
  const AppName app = host.value.app;
  co_return co_await write(app, std::move(host), 200);
}

async::Task<Result<Reply>> CertificateApi::remove(Call& call, Part part) {
  CO_TRY(Stored<HostRecord> host, known_host(call));
  if (part == Part::all) {
    store::Transaction transaction;
    transaction.expect(host_key(host.value.host), host.revision);
    transaction.remove(host_key(host.value.host));
    CO_TRY_VOID_AS(co_await context_.commit(std::move(transaction)), "host " + host.value.host);
    co_return Reply{200, json::object({{"ok", true}})};
  }
  const Source source = part == Part::acme ? Source::acme : Source::uploaded;
  if (part == Part::acme) host.value.automatic = false;
  std::erase_if(host.value.certificates,
                [source](const HostCertificate& each) { return each.source == source; });
  const AppName app = host.value.app;
  co_return co_await write(app, std::move(host), 200);
}

}  // namespace perigee::control
