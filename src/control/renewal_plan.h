// Renewal plan: which certificate of a host is to be got next, and when; and whether all is well
// with a host. Pure.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "config/acme_config.h"
#include "control/host_records.h"

namespace perigee::control {

// How certificates are got by ACME.
struct AcmePolicy {
  std::vector<crypto::KeyType> keys{crypto::KeyType::ecdsa};
  std::vector<model::ChallengeType> challenges{model::ChallengeType::http_01};
  std::optional<Duration> renew_after = {};  // of a certificate's age; unset: a share of its life
  Duration retry = 120s;                     // after the first failure, then doubling
};
AcmePolicy policy_of(const config::AcmeConfig& config);

// When an order may be placed for the first of `policy.keys` that wants one. nullopt: never, the
// host's certificates are brought by people.
struct NextOrder {
  crypto::KeyType key_type = crypto::KeyType::ecdsa;
  model::ChallengeType challenge = model::ChallengeType::http_01;
  WallTime at;
  bool operator==(const NextOrder&) const = default;
};
std::optional<NextOrder> next_order(const HostRecord& record, const AcmePolicy& policy);

// `expiring`: less than a third of a certificate's life is left.
enum class HostState { missing, pending, failing, ready, expiring, expired };
std::string_view name(HostState state);
HostState state_of(const HostRecord& record, WallTime now);
// Of the certificate that ends first; nullopt: there is none.
std::optional<WallTime> end_of(const HostRecord& record);

}  // namespace perigee::control
