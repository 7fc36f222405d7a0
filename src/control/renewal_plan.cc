#include "control/renewal_plan.h"

#include <algorithm>

#include "base/check.h"
#include "base/stable_hash.h"
#include "control/limits.h"

namespace perigee::control {
namespace {

constexpr int kParts = 1000;
constexpr int kRenewalShare = 600;  // parts of a certificate's life: before two thirds of it,
constexpr int kRenewalSpread = 50;  // spread so that not all of a fleet come at once
constexpr int kRetryJitter = 250;   // parts of a pause
constexpr int kMaxDoublings = 16;

// The same for a host whoever asks.
int spread(const HostRecord& record, int parts) {
  const std::uint64_t hash = stable_hash(fmt::format("{} {}", record.host, record.failures));
  return static_cast<int>(hash % static_cast<std::uint64_t>(parts));
}

Duration share(Duration whole, int parts) {
  return Duration(whole.count() / kParts * parts);
}

WallTime renewal_at(const HostRecord& record, const HostCertificate& certificate,
                    const AcmePolicy& policy) {
  if (policy.renew_after) return certificate.obtained_at + *policy.renew_after;
  const Duration life = certificate.not_after - certificate.not_before;
  return certificate.not_before + share(life, kRenewalShare + spread(record, kRenewalSpread));
}

// After so many failures. A person may ask for one sooner, but not at once after another.
WallTime retry_at(const HostRecord& record, const AcmePolicy& policy) {
  if (record.failures == 0) return record.created_at;
  if (record.asked_at > record.tried_at)
    return std::max(record.asked_at, record.tried_at + policy.retry);
  const int doublings = std::min(record.failures - 1, kMaxDoublings);
  const Duration pause = std::min<Duration>(policy.retry * (1 << doublings), kMostAcmeRetry);
  return record.tried_at + pause + share(pause, spread(record, kRetryJitter));
}

HostState worse(HostState a, HostState b) {
  return std::max(a, b);
}

HostState state_of(const HostCertificate& certificate, WallTime now) {
  if (now >= certificate.not_after) return HostState::expired;
  const Duration life = certificate.not_after - certificate.not_before;
  return certificate.not_after - now < life / 3 ? HostState::expiring : HostState::ready;
}

}  // namespace

AcmePolicy policy_of(const config::AcmeConfig& config) {
  AcmePolicy policy{.keys = {},
                    .challenges = config.challenges,
                    .renew_after = config.renew_after,
                    .retry = config.retry};
  for (const std::string& key : config.keys) {
    const auto type = crypto::parse_key_type(key);
    PERIGEE_CHECK(type.has_value());  // read_acme_config refuses others
    policy.keys.push_back(*type);
  }
  return policy;
}

std::optional<NextOrder> next_order(const HostRecord& record, const AcmePolicy& policy) {
  if (!record.automatic) return std::nullopt;
  std::optional<NextOrder> first;
  const auto turn = static_cast<std::size_t>(record.failures) % policy.challenges.size();
  for (const crypto::KeyType key : policy.keys) {
    const HostCertificate* known = record.find(key);
    if (known != nullptr && known->source == HostCertificate::Source::uploaded) continue;
    const WallTime wanted =
        known == nullptr ? record.created_at : renewal_at(record, *known, policy);
    const NextOrder order{.key_type = key,
                          .challenge = policy.challenges[turn],
                          .at = std::max(wanted, retry_at(record, policy))};
    if (!first || order.at < first->at) first = order;
  }
  return first;
}

std::string_view name(HostState state) {
  switch (state) {
    case HostState::missing:
      return "missing";
    case HostState::pending:
      return "pending";
    case HostState::failing:
      return "failing";
    case HostState::ready:
      return "ready";
    case HostState::expiring:
      return "expiring";
    case HostState::expired:
      return "expired";
  }
  return "unknown";
}

HostState state_of(const HostRecord& record, WallTime now) {
  if (record.certificates.empty()) {
    if (!record.automatic) return HostState::missing;
    return record.last_error.empty() ? HostState::pending : HostState::failing;
  }
  HostState state = HostState::ready;
  for (const HostCertificate& each : record.certificates) {
    state = worse(state, state_of(each, now));
  }
  return state;
}

std::optional<WallTime> end_of(const HostRecord& record) {
  const auto first = std::ranges::min_element(record.certificates, {}, &HostCertificate::not_after);
  if (first == record.certificates.end()) return std::nullopt;
  return first->not_after;
}

}  // namespace perigee::control
