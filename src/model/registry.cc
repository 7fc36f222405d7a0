#include "model/registry.h"

namespace perigee::model {

json::Value to_json(const RegistryLogin& login) {
  return json::object({{"registry", login.registry},
                       {"username", login.username},
                       {"sealed_password", login.sealed_password},
                       {"digest", login.digest},
                       {"created_at_ns", login.created_at.ns},
                       {"updated_at_ns", login.updated_at.ns}});
}

Result<RegistryLogin> registry_login_from(const json::Value& value) {
  RegistryLogin login;
  TRY(login.registry, value.require_string("registry"));
  TRY(login.username, value.require_string("username"));
  TRY(login.sealed_password, value.require_string("sealed_password"));
  TRY(login.digest, value.optional_string("digest"));
  TRY(login.created_at.ns, value.optional_int("created_at_ns", 0));
  TRY(login.updated_at.ns, value.optional_int("updated_at_ns", 0));
  return login;
}

json::Value public_registry_login(const RegistryLogin& login) {
  return json::object({{"registry", login.registry},
                       {"username", login.username},
                       {"digest", login.digest},
                       {"created_at", to_rfc3339(login.created_at)},
                       {"updated_at", to_rfc3339(login.updated_at)}});
}

}  // namespace perigee::model
