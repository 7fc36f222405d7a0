// What control keeps in the store beside the model's own objects, and under which keys
// (docs/formats/store.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/json.h"
#include "model/fleet.h"
#include "model/types.h"

namespace perigee::control {

// A release with what only its deploy needs to know.
struct ReleaseRecord {
  model::Release release;
  int count = 1;      // machines to run
  RegionCode region;  // empty: where there is room
  bool operator==(const ReleaseRecord&) const = default;
};
bool is_finished(const model::Release& release);
json::Value to_json(const ReleaseRecord& record);
Result<ReleaseRecord> release_record_from(const json::Value& value);

struct CertificateRecord {
  std::string certificate_pem;
  std::string private_key;  // sealed; empty in a record of before that: the certificate is renewed
  std::string ca;           // SHA-256 of the CA's certificate: another CA means a new certificate
  bool operator==(const CertificateRecord&) const = default;
};
json::Value to_json(const CertificateRecord& record);
Result<CertificateRecord> certificate_record_from(const json::Value& value);

// One of an app's secrets. Nobody is ever shown more of it than its digest.
struct SecretRecord {
  std::string sealed;
  std::string digest;
  WallTime created_at;
  WallTime updated_at;
  bool operator==(const SecretRecord&) const = default;
};
json::Value to_json(const SecretRecord& record);
Result<SecretRecord> secret_record_from(const json::Value& value);

struct TokenRecord {
  std::string sha256;
  WallTime created_at;
  bool operator==(const TokenRecord&) const = default;
};
json::Value to_json(const TokenRecord& record);
Result<TokenRecord> token_record_from(const json::Value& value);

// Who alone may change a machine, until when.
struct LeaseRecord {
  std::string nonce;
  std::string owner;
  std::string description;
  std::string version;  // the machine's instance when it was taken
  WallTime expires_at;
  bool operator==(const LeaseRecord&) const = default;
};
json::Value to_json(const LeaseRecord& record);
Result<LeaseRecord> lease_record_from(const json::Value& value);

// The configurations that a machine had before its present one, oldest first.
struct VersionsRecord {
  struct Version {
    std::string instance_id;
    model::MachineConfig config;
    WallTime until;  // when the next one took its place
    bool operator==(const Version&) const = default;
  };
  std::vector<Version> versions;
  bool operator==(const VersionsRecord&) const = default;
};
json::Value to_json(const VersionsRecord& record);
Result<VersionsRecord> versions_record_from(const json::Value& value);

struct NodeRecord {
  RegionCode region;
  WallTime first_seen;
  bool cordoned = false;                        // it takes no new machines
  bool draining = false;                        // its machines are being moved away
  std::optional<model::Membership> membership;  // nullopt: it is no part of a fleet
  bool operator==(const NodeRecord&) const = default;

  // A worker of it is to report. Otherwise it is an edge: it takes users in and hands them on.
  bool runs_machines() const { return !membership || membership->runs("worker"); }
};
json::Value to_json(const NodeRecord& record);
Result<NodeRecord> node_record_from(const json::Value& value);

// What makes the nodes a fleet. One record; made when the first token or the first node asks.
struct FleetRecord {
  std::string id;
  std::string prefix;          // of its addresses: "fd12:3456:789a"
  std::string ca_certificate;  // PEM
  std::string ca_key;          // sealed
  int next_index = 1;          // of a node; none is given out twice
  bool operator==(const FleetRecord&) const = default;
};
json::Value to_json(const FleetRecord& record);
Result<FleetRecord> fleet_record_from(const json::Value& value);

struct JoinTokenRecord {
  enum class Admits { nodes, controls_too };
  std::string sha256;  // of its secret
  WallTime created_at;
  WallTime expires_at;
  int uses_left = 1;
  Admits admits = Admits::nodes;
  bool operator==(const JoinTokenRecord&) const = default;
};
json::Value to_json(const JoinTokenRecord& record);
Result<JoinTokenRecord> join_token_record_from(const json::Value& value);

inline constexpr std::string_view kFleetKey = "/fleet/identity";
std::string app_number_key(std::uint32_t number);   // value: the app that has it
std::string port_key(std::string_view port);        // "tcp/5432"; value: the app that has it
std::string address_key(std::string_view address);  // likewise
std::string join_token_key(std::string_view id);
std::string app_key(const AppName& app);
std::string machine_key(const MachineId& id);
std::string release_key(const AppName& app, std::int64_t version);
std::string certificate_key(std::string_view host);
std::string secret_key(const AppName& app, std::string_view name);
std::string token_key(std::string_view name);
std::string volume_key(const VolumeId& id);
std::string registry_key(std::string_view registry);
std::string node_key(const NodeId& node);
std::string lease_key(const MachineId& machine);
std::string versions_key(const MachineId& machine);

}  // namespace perigee::control
