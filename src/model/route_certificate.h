// What routers show at an app's hosts: certificates, and the answers to an authority that asks
// whether a host is its app's (ACME, RFC 8555). Parts of an AppRoute; plain values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/json.h"

namespace perigee::model {

// Of several for one host routers show that which the client can check (ECDSA or RSA).
struct RouteCertificate {
  std::vector<std::string> hosts;  // of the app; at least one
  std::string chain_pem;           // leaf first
  std::string private_key;         // sealed for the first host (docs/formats/sealed.md)
  bool operator==(const RouteCertificate&) const = default;
};
json::Value to_json(const RouteCertificate& certificate);
Result<RouteCertificate> route_certificate_from(const json::Value& value);

// How a host proves that it is its owner's: by a page (RFC 8555, 8.3), or by a certificate in a
// handshake for acme-tls/1 (RFC 8737).
enum class ChallengeType { http_01, tls_alpn_01 };
std::string_view name(ChallengeType type);  // "http-01"
Result<ChallengeType> parse_challenge_type(std::string_view text);

struct RouteChallenge {
  std::string host;
  ChallengeType type = ChallengeType::http_01;
  std::string token;
  std::string answer;  // http-01: what the page says; tls-alpn-01: its SHA-256, in base64url
  bool operator==(const RouteChallenge&) const = default;
};
json::Value to_json(const RouteChallenge& challenge);
Result<RouteChallenge> route_challenge_from(const json::Value& value);

}  // namespace perigee::model
