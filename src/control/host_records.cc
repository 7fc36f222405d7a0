#include "control/host_records.h"

#include <algorithm>

namespace perigee::control {
namespace {

using Source = HostCertificate::Source;

json::Value to_json(const HostCertificate& certificate) {
  return json::object({{"key_type", name(certificate.key_type)},
                       {"source", name(certificate.source)},
                       {"chain_pem", certificate.chain_pem},
                       {"private_key", certificate.private_key},
                       {"issuer", certificate.issuer},
                       {"obtained_at_ns", certificate.obtained_at.ns},
                       {"not_before_ns", certificate.not_before.ns},
                       {"not_after_ns", certificate.not_after.ns}});
}

Result<HostCertificate> host_certificate_from(const json::Value& value) {
  HostCertificate certificate;
  TRY(const std::string key_type, value.require_string("key_type"));
  TRY(certificate.key_type, crypto::parse_key_type(key_type));
  TRY(const std::string source, value.require_string("source"));
  certificate.source = source == name(Source::acme) ? Source::acme : Source::uploaded;
  TRY(certificate.chain_pem, value.require_string("chain_pem"));
  TRY(certificate.private_key, value.require_string("private_key"));
  TRY(certificate.issuer, value.optional_string("issuer"));
  TRY(certificate.obtained_at.ns, value.require_int("obtained_at_ns"));
  TRY(certificate.not_before.ns, value.require_int("not_before_ns"));
  TRY(certificate.not_after.ns, value.require_int("not_after_ns"));
  return certificate;
}

}  // namespace

std::string_view name(Source source) {
  return source == Source::acme ? "acme" : "uploaded";
}

const HostCertificate* HostRecord::find(crypto::KeyType type) const {
  const auto found = std::ranges::find(certificates, type, &HostCertificate::key_type);
  return found == certificates.end() ? nullptr : &*found;
}

void HostRecord::set(HostCertificate certificate) {
  std::erase_if(certificates,
                [&](const HostCertificate& each) { return each.key_type == certificate.key_type; });
  certificates.push_back(std::move(certificate));
}

json::Value to_json(const HostRecord& record) {
  json::Value certificates = json::array();
  for (const HostCertificate& each : record.certificates) certificates.push(to_json(each));
  json::Value out = json::object({{"host", record.host},
                                  {"app", record.app.str()},
                                  {"created_at_ns", record.created_at.ns},
                                  {"automatic", record.automatic},
                                  {"certificates", std::move(certificates)},
                                  {"failures", record.failures},
                                  {"tried_at_ns", record.tried_at.ns},
                                  {"asked_at_ns", record.asked_at.ns},
                                  {"last_error", record.last_error}});
  if (record.challenge) out.set("challenge", model::to_json(*record.challenge));
  return out;
}

Result<HostRecord> host_record_from(const json::Value& value) {
  constexpr std::int64_t kMaxFailures = 1'000'000;
  HostRecord record;
  TRY(record.host, value.require_string("host"));
  TRY(const std::string app, value.require_string("app"));
  record.app = AppName(app);
  TRY(record.created_at.ns, value.optional_int("created_at_ns", 0));
  TRY(record.automatic, value.optional_bool("automatic", false));
  if (const json::Value* certificates = value.find("certificates")) {
    for (const json::Value& each : certificates->items()) {
      TRY(HostCertificate certificate, host_certificate_from(each));
      record.set(std::move(certificate));
    }
  }
  if (const json::Value* challenge = value.find("challenge")) {
    TRY(record.challenge, model::route_challenge_from(*challenge));
  }
  TRY(const std::int64_t failures, value.optional_int("failures", 0));
  record.failures = static_cast<int>(std::clamp<std::int64_t>(failures, 0, kMaxFailures));
  TRY(record.tried_at.ns, value.optional_int("tried_at_ns", 0));
  TRY(record.asked_at.ns, value.optional_int("asked_at_ns", 0));
  TRY(record.last_error, value.optional_string("last_error"));
  return record;
}

json::Value to_json(const AcmeAccountRecord& record) {
  return json::object({{"key", record.key}});
}

Result<AcmeAccountRecord> acme_account_record_from(const json::Value& value) {
  AcmeAccountRecord record;
  TRY(record.key, value.require_string("key"));
  return record;
}

std::string host_key(std::string_view host) {
  return fmt::format("/hosts/{}", host);
}

}  // namespace perigee::control
