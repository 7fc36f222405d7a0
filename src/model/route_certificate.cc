#include "model/route_certificate.h"

#include "model/json_parts.h"

namespace perigee::model {
namespace {

constexpr EnumNames<ChallengeType, 2> kTypes{
    {{ChallengeType::http_01, "http-01"}, {ChallengeType::tls_alpn_01, "tls-alpn-01"}}};

}  // namespace

json::Value to_json(const RouteCertificate& certificate) {
  return json::object({{"hosts", json::strings(certificate.hosts)},
                       {"chain_pem", certificate.chain_pem},
                       {"private_key", certificate.private_key}});
}

Result<RouteCertificate> route_certificate_from(const json::Value& value) {
  RouteCertificate certificate;
  TRY(certificate.hosts, value.optional_strings("hosts"));
  if (certificate.hosts.empty()) return fail(Code::invalid_argument, "hosts: missing");
  TRY(certificate.chain_pem, value.require_string("chain_pem"));
  TRY(certificate.private_key, value.require_string("private_key"));
  return certificate;
}

std::string_view name(ChallengeType type) {
  return name_of(kTypes, type);
}

Result<ChallengeType> parse_challenge_type(std::string_view text) {
  return parse_enum(kTypes, text);
}

json::Value to_json(const RouteChallenge& challenge) {
  return json::object({{"host", challenge.host},
                       {"type", name(challenge.type)},
                       {"token", challenge.token},
                       {"answer", challenge.answer}});
}

Result<RouteChallenge> route_challenge_from(const json::Value& value) {
  RouteChallenge challenge;
  TRY(challenge.host, value.require_string("host"));
  TRY(const std::string type, value.require_string("type"));
  TRY_AS(challenge.type, parse_challenge_type(type), "type");
  TRY(challenge.token, value.require_string("token"));
  TRY(challenge.answer, value.require_string("answer"));
  return challenge;
}

}  // namespace perigee::model
