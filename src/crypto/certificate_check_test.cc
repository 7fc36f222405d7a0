// Certificates that are brought: what can serve a host, and why the others can't.
#include "crypto/certificate_check.h"

#include <doctest/doctest.h>

#include "crypto/hash.h"

namespace perigee::crypto {
namespace {

constexpr WallTime kNow{1'790'000'000'000'000'000};
constexpr const char* kHost = "www.example.com";

struct Fixture {
  KeyPair ca = *create_ca("Example CA", kNow);
  KeyPair leaf = *issue(ca, {kHost}, kNow, 90);

  Result<CheckedCertificate> check(const std::string& chain, const std::string& key,
                                   const std::string& host = kHost, WallTime now = kNow) const {
    return check_certificate(chain, key, host, now);
  }
  Result<CheckedCertificate> check(const KeyPair& pair, const std::string& host = kHost) const {
    return check(pair.certificate_pem, pair.private_key_pem, host);
  }
  // "accepted", or what is wrong.
  static std::string word(const Result<CheckedCertificate>& checked) {
    return checked ? "accepted" : checked.error().context;
  }
  KeyPair rsa_leaf() const {
    const RequestedKey request = *request_host_certificate(kHost, KeyType::rsa);
    return {.certificate_pem = *issue_requested(ca, request.request_pem, {kHost}, kNow, 24h),
            .private_key_pem = request.private_key_pem};
  }
};

bool says(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE_FIXTURE(Fixture, "a leaf with its issuers is taken, and what stands between is dropped") {
  const auto checked = check(
      "Subject: CN = hello\n" + leaf.certificate_pem + "\n# the issuer\n" + ca.certificate_pem,
      leaf.private_key_pem);
  REQUIRE_MESSAGE(checked.has_value(), word(checked));
  CHECK(checked->chain_pem == leaf.certificate_pem + ca.certificate_pem);
  CHECK(checked->key_type == KeyType::ecdsa);
  CHECK(checked->issuer == "Example CA");
  CHECK(checked->not_after == kNow + 90 * 24h);
  CHECK(check(rsa_leaf())->key_type == KeyType::rsa);
}

TEST_CASE_FIXTURE(Fixture, "what a host is told of its certificate names the mistake") {
  CHECK(says(word(check(ca.certificate_pem + leaf.certificate_pem, leaf.private_key_pem)),
             "not that of the first certificate (Example CA)"));
  const KeyPair other = *issue(ca, {kHost}, kNow, 90);
  CHECK(says(word(check(leaf.certificate_pem, other.private_key_pem)), "not that of the first"));
  CHECK(says(word(check(leaf.certificate_pem + other.certificate_pem, leaf.private_key_pem)),
             "put the leaf first"));
  CHECK(says(word(check(leaf, "example.com")), "it is not for example.com"));
  CHECK(says(word(check("hello", leaf.private_key_pem)), "not PEM of certificates"));
  CHECK(says(word(check(leaf.certificate_pem + "-----BEGIN CERTIFICATE-----\nAAAA\n",
                        leaf.private_key_pem)),
             "not PEM of certificates"));
  CHECK(says(word(check(leaf.certificate_pem, "hello")), "private key: not PEM"));
  CHECK(says(word(check(leaf.certificate_pem, "-----BEGIN ENCRYPTED PRIVATE KEY-----\n")),
             "passphrase"));
  CHECK(says(word(check(std::string(kMaxChainPem + 1, 'x'), leaf.private_key_pem)), "at most"));
  CHECK(says(word(check(leaf.certificate_pem, std::string(kMaxKeyPem + 1, 'x'))), "at most"));
}

TEST_CASE_FIXTURE(Fixture, "a certificate is good in its time alone") {
  const auto at = [&](WallTime now) {
    return word(check(leaf.certificate_pem, leaf.private_key_pem, kHost, now));
  };
  CHECK(at(kNow + 89 * 24h) == "accepted");
  CHECK(says(at(kNow + 90 * 24h), "it has expired"));
  CHECK(says(at(kNow + -2h), "check the clock"));
}

TEST_CASE_FIXTURE(Fixture, "a wildcard's certificate covers one label") {
  const KeyPair wild = *issue(ca, {"*.example.com"}, kNow, 90);
  CHECK(word(check(wild, "*.example.com")) == "accepted");
  CHECK(word(check(wild, kHost)) == "accepted");
  CHECK(word(check(wild, "a.b.example.com")) != "accepted");
  CHECK(word(check(leaf, "*.example.com")) != "accepted");
}

TEST_CASE_FIXTURE(Fixture, "a request for a host is of the key that was asked for") {
  const KeyPair made = rsa_leaf();
  CHECK(word(check(made)) == "accepted");
  CHECK_FALSE(request_host_certificate("a,IP:127.0.0.1", KeyType::ecdsa).has_value());
}

TEST_CASE("the certificate that answers an authority needs a whole digest") {
  CHECK(create_validation(kHost, std::string(32, 'd'), kNow).has_value());
  CHECK_FALSE(create_validation(kHost, "short", kNow).has_value());
}

TEST_CASE("base64url has its own letters and no padding") {
  CHECK(base64url_decode("Zm9vYg") == "foob");
  CHECK(base64url_decode("-_8") == "\xfb\xff");
  CHECK_FALSE(base64url_decode("+/8").has_value());
  CHECK_FALSE(base64url_decode("Zm9vYg==").has_value());
  CHECK_FALSE(base64url_decode("Zm9vY").has_value());
}

}  // namespace
}  // namespace perigee::crypto
