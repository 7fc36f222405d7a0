// When certificates are got, and what is said of them.
#include "control/renewal_plan.h"

#include <doctest/doctest.h>

#include <set>

#include "control/limits.h"

namespace perigee::control {
namespace {

using crypto::KeyType;
using model::ChallengeType;
using Source = HostCertificate::Source;

constexpr WallTime kNow{1'800'000'000'000'000'000};
constexpr Duration kDay = 24h;

HostCertificate certificate(WallTime from, Duration life, KeyType type = KeyType::ecdsa,
                            Source source = Source::acme) {
  return {.key_type = type,
          .source = source,
          .obtained_at = from,
          .not_before = from,
          .not_after = from + life};
}

struct Fixture {
  Fixture() {
    record.host = "www.example.com";
    record.created_at = kNow;
    record.automatic = true;
  }
  WallTime next() const { return next_order(record, policy)->at; }

  HostRecord record;
  AcmePolicy policy{.keys = {KeyType::ecdsa},
                    .challenges = {ChallengeType::http_01, ChallengeType::tls_alpn_01},
                    .retry = 60s};
};

TEST_CASE_FIXTURE(Fixture, "the first certificate is got at once, for automatic hosts alone") {
  CHECK(next_order(record, policy) ==
        NextOrder{.key_type = KeyType::ecdsa, .challenge = ChallengeType::http_01, .at = kNow});
  record.automatic = false;
  CHECK(next_order(record, policy) == std::nullopt);
}

TEST_CASE_FIXTURE(Fixture, "renewal begins before two thirds of the life have passed, spread") {
  std::set<std::int64_t> times;
  for (int i = 0; i < 50; ++i) {
    record.host = fmt::format("h{}.example.com", i);
    record.certificates = {certificate(kNow, 90 * kDay)};
    const Duration age = next() - kNow;
    CHECK(age >= 54 * kDay);
    CHECK(age < 60 * kDay);
    times.insert(age.count());
  }
  CHECK(times.size() > 10);
  policy.renew_after = 20s;
  CHECK(next() == kNow + 20s);
}

TEST_CASE_FIXTURE(Fixture, "each kind of key has its own certificate, an uploaded one is left") {
  policy.keys = {KeyType::ecdsa, KeyType::rsa};
  record.certificates = {certificate(kNow, 90 * kDay)};
  CHECK(next_order(record, policy)->key_type == KeyType::rsa);
  CHECK(next() == kNow);
  record.set(certificate(kNow, 30 * kDay, KeyType::rsa));
  CHECK(next_order(record, policy)->key_type == KeyType::rsa);
  CHECK(next() > kNow);
  record.set(certificate(kNow, 30 * kDay, KeyType::rsa, Source::uploaded));
  CHECK(next_order(record, policy)->key_type == KeyType::ecdsa);
  record.set(certificate(kNow, 30 * kDay, KeyType::ecdsa, Source::uploaded));
  CHECK(next_order(record, policy) == std::nullopt);
}

TEST_CASE_FIXTURE(Fixture,
                  "after failures it waits longer each time, and takes the next challenge") {
  Duration before{};
  for (int failures = 1; failures <= 30; ++failures) {
    record.failures = failures;
    record.tried_at = kNow;
    const Duration pause = next() - kNow;
    CHECK(pause <= kMostAcmeRetry + kMostAcmeRetry / 4);
    if (failures <= 8) {
      CHECK(pause >= 60s * (1 << (failures - 1)));
      CHECK(pause > before);
    }
    CHECK(next_order(record, policy)->challenge ==
          (failures % 2 == 0 ? ChallengeType::http_01 : ChallengeType::tls_alpn_01));
    before = pause;
  }
  CHECK(before >= kMostAcmeRetry);
}

TEST_CASE_FIXTURE(Fixture, "a person may have the next order sooner, but not at once") {
  record.failures = 9;
  record.tried_at = kNow;
  record.asked_at = kNow + 10s;
  CHECK(next() == kNow + 60s);
  record.asked_at = kNow + 1h;
  CHECK(next() == kNow + 1h);
  record.tried_at = kNow + 2h;  // that was it
  CHECK(next() > kNow + 3h);
}

TEST_CASE_FIXTURE(Fixture, "a host is as well as the worst of its certificates") {
  CHECK(state_of(record, kNow) == HostState::pending);
  CHECK(end_of(record) == std::nullopt);
  record.last_error = "no";
  CHECK(state_of(record, kNow) == HostState::failing);
  record.automatic = false;
  CHECK(state_of(record, kNow) == HostState::missing);
  record.certificates = {certificate(kNow, 90 * kDay)};
  CHECK(state_of(record, kNow + 59 * kDay) == HostState::ready);
  CHECK(state_of(record, kNow + 61 * kDay) == HostState::expiring);
  CHECK(state_of(record, kNow + 90 * kDay) == HostState::expired);
  record.set(certificate(kNow, 10 * kDay, KeyType::rsa));
  CHECK(state_of(record, kNow + 9 * kDay) == HostState::expiring);
  CHECK(end_of(record) == kNow + 10 * kDay);
}

TEST_CASE_FIXTURE(Fixture, "a host's record survives a round trip") {
  record.app = AppName("shop");
  record.certificates = {certificate(kNow, 90 * kDay),
                         certificate(kNow, kDay, KeyType::rsa, Source::uploaded)};
  record.certificates[0].chain_pem = "chain";
  record.certificates[0].private_key = "sealed";
  record.certificates[0].issuer = "CA";
  record.challenge = model::RouteChallenge{
      .host = record.host, .type = ChallengeType::tls_alpn_01, .token = "t", .answer = "a"};
  record.failures = 3;
  record.tried_at = kNow;
  record.asked_at = kNow + 1s;
  record.last_error = "e";
  const auto read = host_record_from(to_json(record));
  REQUIRE_MESSAGE(read.has_value(), read.error().context);
  CHECK(*read == record);
}

}  // namespace
}  // namespace perigee::control
