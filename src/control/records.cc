#include "control/records.h"

#include "model/json.h"

namespace perigee::control {

bool is_finished(const model::Release& release) {
  return release.status == model::ReleaseStatus::succeeded ||
         release.status == model::ReleaseStatus::failed;
}

json::Value to_json(const ReleaseRecord& record) {
  json::Value out = model::to_json(record.release);
  out.set("count", record.count);
  out.set("region", record.region.str());
  return out;
}

Result<ReleaseRecord> release_record_from(const json::Value& value) {
  constexpr std::int64_t kMaxCount = 1'000'000;
  ReleaseRecord record;
  TRY(record.release, model::release_from(value));
  TRY(const std::int64_t count, value.optional_int("count", 1));
  if (count < 1 || count > kMaxCount) return fail(Code::data_loss, "count: {}", count);
  record.count = static_cast<int>(count);
  TRY(const std::string region, value.optional_string("region"));
  record.region = RegionCode(region);
  return record;
}

json::Value to_json(const CertificateRecord& record) {
  return json::object({{"certificate_pem", record.certificate_pem},
                       {"private_key", record.private_key},
                       {"ca", record.ca}});
}

Result<CertificateRecord> certificate_record_from(const json::Value& value) {
  CertificateRecord record;
  TRY(record.certificate_pem, value.require_string("certificate_pem"));
  TRY(record.private_key, value.optional_string("private_key"));
  TRY(record.ca, value.optional_string("ca"));
  return record;
}

json::Value to_json(const SecretRecord& record) {
  return json::object({{"sealed", record.sealed},
                       {"digest", record.digest},
                       {"created_at_ns", record.created_at.ns},
                       {"updated_at_ns", record.updated_at.ns}});
}

Result<SecretRecord> secret_record_from(const json::Value& value) {
  SecretRecord record;
  TRY(record.sealed, value.require_string("sealed"));
  TRY(record.digest, value.require_string("digest"));
  TRY(record.created_at.ns, value.optional_int("created_at_ns", 0));
  TRY(record.updated_at.ns, value.optional_int("updated_at_ns", 0));
  return record;
}

json::Value to_json(const TokenRecord& record) {
  return json::object({{"sha256", record.sha256}, {"created_at_ns", record.created_at.ns}});
}

Result<TokenRecord> token_record_from(const json::Value& value) {
  TokenRecord record;
  TRY(record.sha256, value.require_string("sha256"));
  TRY(record.created_at.ns, value.optional_int("created_at_ns", 0));
  return record;
}

json::Value to_json(const LeaseRecord& record) {
  return json::object({{"nonce", record.nonce},
                       {"owner", record.owner},
                       {"description", record.description},
                       {"version", record.version},
                       {"expires_at_ns", record.expires_at.ns}});
}

Result<LeaseRecord> lease_record_from(const json::Value& value) {
  LeaseRecord record;
  TRY(record.nonce, value.require_string("nonce"));
  TRY(record.owner, value.optional_string("owner"));
  TRY(record.description, value.optional_string("description"));
  TRY(record.version, value.optional_string("version"));
  TRY(record.expires_at.ns, value.require_int("expires_at_ns"));
  return record;
}

json::Value to_json(const VersionsRecord& record) {
  json::Value versions = json::array();
  for (const VersionsRecord::Version& each : record.versions) {
    versions.push(json::object({{"instance_id", each.instance_id},
                                {"config", model::to_json(each.config)},
                                {"until_ns", each.until.ns}}));
  }
  return json::object({{"versions", std::move(versions)}});
}

Result<VersionsRecord> versions_record_from(const json::Value& value) {
  VersionsRecord record;
  const json::Value* versions = value.find("versions");
  if (versions == nullptr || !versions->is_array())
    return fail(Code::data_loss, "versions: missing");
  for (const json::Value& item : versions->items()) {
    VersionsRecord::Version version;
    TRY(version.instance_id, item.require_string("instance_id"));
    const json::Value* config = item.find("config");
    if (config == nullptr) return fail(Code::data_loss, "versions: config: missing");
    TRY(version.config, model::machine_config_from(*config));
    TRY(version.until.ns, item.optional_int("until_ns", 0));
    record.versions.push_back(std::move(version));
  }
  return record;
}

json::Value to_json(const NodeRecord& record) {
  json::Value out =
      json::object({{"region", record.region.str()}, {"first_seen_ns", record.first_seen.ns}});
  if (record.cordoned) out.set("cordoned", true);
  if (record.draining) out.set("draining", true);
  if (record.membership) out.set("membership", to_json(*record.membership));
  return out;
}

Result<NodeRecord> node_record_from(const json::Value& value) {
  NodeRecord record;
  TRY(const std::string region, value.optional_string("region"));
  record.region = RegionCode(region);
  TRY(record.first_seen.ns, value.optional_int("first_seen_ns", 0));
  TRY(record.cordoned, value.optional_bool("cordoned", false));
  TRY(record.draining, value.optional_bool("draining", false));
  if (const json::Value* membership = value.find("membership")) {
    TRY_AS(record.membership, model::membership_from(*membership), "membership");
  }
  return record;
}

json::Value to_json(const FleetRecord& record) {
  return json::object({{"id", record.id},
                       {"prefix", record.prefix},
                       {"ca_certificate", record.ca_certificate},
                       {"ca_key", record.ca_key},
                       {"next_index", record.next_index}});
}

Result<FleetRecord> fleet_record_from(const json::Value& value) {
  FleetRecord record;
  TRY(record.id, value.require_string("id"));
  TRY(record.prefix, value.require_string("prefix"));
  TRY(record.ca_certificate, value.require_string("ca_certificate"));
  TRY(record.ca_key, value.require_string("ca_key"));
  TRY(const std::int64_t next, value.require_int("next_index"));
  record.next_index = static_cast<int>(next);
  return record;
}

json::Value to_json(const JoinTokenRecord& record) {
  return json::object({{"sha256", record.sha256},
                       {"created_at_ns", record.created_at.ns},
                       {"expires_at_ns", record.expires_at.ns},
                       {"uses_left", record.uses_left},
                       {"control", record.admits == JoinTokenRecord::Admits::controls_too}});
}

Result<JoinTokenRecord> join_token_record_from(const json::Value& value) {
  JoinTokenRecord record;
  TRY(record.sha256, value.require_string("sha256"));
  TRY(record.created_at.ns, value.optional_int("created_at_ns", 0));
  TRY(record.expires_at.ns, value.require_int("expires_at_ns"));
  TRY(const std::int64_t uses, value.optional_int("uses_left", 0));
  record.uses_left = static_cast<int>(uses);
  TRY(const bool control, value.optional_bool("control", false));
  if (control) record.admits = JoinTokenRecord::Admits::controls_too;
  return record;
}

std::string join_token_key(std::string_view id) {
  return fmt::format("/join-tokens/{}", id);
}
std::string app_number_key(std::uint32_t number) {
  return fmt::format("/app-numbers/{:08x}", number);
}
std::string port_key(std::string_view port) {
  return fmt::format("/ports/{}", port);
}
std::string address_key(std::string_view address) {
  return fmt::format("/addresses/{}", address);
}
std::string app_key(const AppName& app) {
  return "/apps/" + app.str();
}
std::string machine_key(const MachineId& id) {
  return "/machines/" + id.str();
}
std::string release_key(const AppName& app, std::int64_t version) {
  return fmt::format("/releases/{}/{}", app, version);
}
std::string certificate_key(std::string_view host) {
  return fmt::format("/certs/{}", host);
}
std::string secret_key(const AppName& app, std::string_view name) {
  return fmt::format("/secrets/{}/{}", app, name);
}
std::string token_key(std::string_view name) {
  return fmt::format("/tokens/{}", name);
}
std::string registry_key(std::string_view registry) {
  return fmt::format("/registries/{}", registry);
}

std::string volume_key(const VolumeId& id) {
  return "/volumes/" + id.str();
}
std::string node_key(const NodeId& node) {
  return "/nodes/" + node.str();
}
std::string lease_key(const MachineId& machine) {
  return "/leases/" + machine.str();
}
std::string versions_key(const MachineId& machine) {
  return "/versions/" + machine.str();
}

}  // namespace perigee::control
