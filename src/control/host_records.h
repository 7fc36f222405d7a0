// A host name that an app has beside <app>.<domain>, with its certificates, as the store keeps it
// (docs/formats/store.md), and the account with the authority that issues them. Plain values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "crypto/certificate.h"
#include "json/json.h"
#include "model/route_certificate.h"

namespace perigee::control {

struct HostCertificate {
  enum class Source { uploaded, acme };
  crypto::KeyType key_type = crypto::KeyType::ecdsa;
  Source source = Source::uploaded;
  std::string chain_pem = {};    // leaf first
  std::string private_key = {};  // sealed for the host
  std::string issuer = {};
  WallTime obtained_at;
  WallTime not_before;
  WallTime not_after;
  bool operator==(const HostCertificate&) const = default;
};
std::string_view name(HostCertificate::Source source);  // "acme"

struct HostRecord {
  std::string host;  // "www.example.com", "*.example.com"
  AppName app;
  WallTime created_at;
  bool automatic = false;  // certificates are got by ACME, where none is uploaded
  std::vector<HostCertificate> certificates;       // at most one of each kind of key
  std::optional<model::RouteChallenge> challenge;  // that routers answer now

  // Of orders for certificates. One that has begun counts as failed until it succeeds.
  int failures = 0;  // in a row
  WallTime tried_at;
  WallTime asked_at;  // when a person wanted the next one
  std::string last_error;
  bool operator==(const HostRecord&) const = default;

  const HostCertificate* find(crypto::KeyType type) const;
  // In place of that of the same kind of key.
  void set(HostCertificate certificate);
};
json::Value to_json(const HostRecord& record);
Result<HostRecord> host_record_from(const json::Value& value);

struct AcmeAccountRecord {
  std::string key;  // sealed
  bool operator==(const AcmeAccountRecord&) const = default;
};
json::Value to_json(const AcmeAccountRecord& record);
Result<AcmeAccountRecord> acme_account_record_from(const json::Value& value);

std::string host_key(std::string_view host);
inline constexpr std::string_view kAcmeAccountKey = "/acme/account";

}  // namespace perigee::control
