#include "crypto/certificate_check.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <array>
#include <ctime>
#include <vector>

#include "crypto/openssl_handles.h"

namespace perigee::crypto {
namespace {

constexpr std::size_t kMaxChain = 10;
constexpr int kMinRsaBits = 2048;
constexpr int kMaxRsaBits = 8192;
constexpr Duration kClockSkew = 5min;
constexpr int kMinHashBits = 112;  // of security: SHA-1 has less

using Chain = std::vector<Certificate>;

Result<Chain> read_chain(std::string_view pem) {
  if (pem.size() > kMaxChainPem) {
    return fail(Code::invalid_argument, "certificate: at most {} KiB of PEM", kMaxChainPem / 1024);
  }
  const Bio bio = reader(pem);
  Chain chain;
  while (Certificate next{PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr)}) {
    if (chain.size() == kMaxChain) {
      return fail(Code::invalid_argument, "certificate: more than {} in the chain", kMaxChain);
    }
    chain.push_back(std::move(next));
  }
  const bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (chain.empty() || !ended) {
    return fail(Code::invalid_argument,
                "certificate: not PEM of certificates (-----BEGIN CERTIFICATE-----), leaf first");
  }
  return chain;
}

Result<Key> read_key(std::string_view pem) {
  if (pem.size() > kMaxKeyPem) {
    return fail(Code::invalid_argument, "private key: at most {} KiB of PEM", kMaxKeyPem / 1024);
  }
  Key key(PEM_read_bio_PrivateKey(reader(pem).get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  if (key) return key;
  if (pem.find("ENCRYPTED") != std::string_view::npos) {
    return fail(Code::invalid_argument,
                "private key: it has a passphrase; take that off (openssl pkey -in key.pem)");
  }
  return fail(Code::invalid_argument, "private key: not PEM of one (-----BEGIN PRIVATE KEY-----)");
}

// Browsers know nothing else: no Ed25519, no P-521.
Result<KeyType> check_key(const EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "RSA") == 1) {
    const int bits = EVP_PKEY_get_bits(key);
    if (bits >= kMinRsaBits && bits <= kMaxRsaBits) return KeyType::rsa;
    return fail(Code::invalid_argument, "private key: RSA of {} bits; make one of {} to {}", bits,
                kMinRsaBits, kMaxRsaBits);
  }
  std::array<char, 64> group{};
  if (EVP_PKEY_is_a(key, "EC") == 1 &&
      EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) == 1) {
    const std::string_view name(group.data());
    if (name == SN_X9_62_prime256v1 || name == SN_secp384r1) return KeyType::ecdsa;
    return fail(Code::invalid_argument, "private key: ECDSA on {}; make one on P-256 or P-384",
                name);
  }
  return fail(Code::invalid_argument, "private key: neither RSA nor ECDSA on P-256 or P-384");
}

std::string name_of(const X509_NAME* name) {
  for (const int field : {NID_commonName, NID_organizationName}) {
    const int at = X509_NAME_get_index_by_NID(name, field, -1);
    if (at < 0) continue;
    unsigned char* text = nullptr;
    const int size =
        ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    if (size < 0) continue;
    std::string out(reinterpret_cast<const char*>(text), static_cast<std::size_t>(size));
    OPENSSL_free(text);
    return out;
  }
  return "unnamed";
}

Result<WallTime> wall_time(const ASN1_TIME* time) {
  std::tm broken{};
  if (ASN1_TIME_to_tm(time, &broken) != 1) {
    return fail(Code::invalid_argument, "certificate: its dates can't be read");
  }
  return WallTime{static_cast<std::int64_t>(::timegm(&broken)) * 1'000'000'000};
}

// Each is signed by the next. A root at the end may be there or not.
Result<void> check_order(const Chain& chain) {
  for (std::size_t i = 0; i + 1 < chain.size(); ++i) {
    X509* issuer = chain[i + 1].get();
    const bool good = X509_check_issued(issuer, chain[i].get()) == X509_V_OK &&
                      X509_verify(chain[i].get(), X509_get0_pubkey(issuer)) == 1;
    ERR_clear_error();
    if (good) continue;
    return fail(Code::invalid_argument,
                "certificate: number {} of the chain ({}) is not signed by the one after it ({}); "
                "put the leaf first, then each one's issuer",
                i + 1, name_of(X509_get_subject_name(chain[i].get())),
                name_of(X509_get_subject_name(issuer)));
  }
  return {};
}

// The hash of a signature by a trusted root means nothing: it is known by its key.
Result<void> check_hashes(const Chain& chain) {
  for (const Certificate& each : chain) {
    int bits = 0;
    const bool self_signed =
        X509_NAME_cmp(X509_get_subject_name(each.get()), X509_get_issuer_name(each.get())) == 0;
    if (self_signed && chain.size() > 1) continue;
    if (X509_get_signature_info(each.get(), nullptr, nullptr, &bits, nullptr) == 1 &&
        bits >= kMinHashBits)
      continue;
    return fail(Code::invalid_argument,
                "certificate: {} is signed with a hash that clients refuse (SHA-1, MD5)",
                name_of(X509_get_subject_name(each.get())));
  }
  return {};
}

// For a wildcard any label will do.
Result<void> check_covers(X509* leaf, const std::string& host) {
  const std::string tried = host.starts_with("*.") ? "a" + host.substr(1) : host;
  constexpr unsigned kFlags =
      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
  if (X509_check_host(leaf, tried.data(), tried.size(), kFlags, nullptr) == 1) return {};
  return fail(Code::invalid_argument,
              "certificate: it is not for {} (see openssl x509 -noout -ext subjectAltName)", host);
}

Result<void> check_purpose(X509* leaf) {
  if (X509_check_purpose(leaf, X509_PURPOSE_SSL_SERVER, 0) == 1) return {};
  return fail(Code::invalid_argument, "certificate: it is not for servers (extendedKeyUsage)");
}

Result<std::string> text_of(const Chain& chain) {
  const Bio bio(BIO_new(BIO_s_mem()));
  for (const Certificate& each : chain) {
    if (PEM_write_bio_X509(bio.get(), each.get()) != 1) {
      return fail(Code::internal, "certificate: write PEM");
    }
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

}  // namespace

Result<CheckedCertificate> check_certificate(std::string_view chain_pem, std::string_view key_pem,
                                             const std::string& host, WallTime now) {
  TRY(const Chain chain, read_chain(chain_pem));
  TRY(const Key key, read_key(key_pem));
  CheckedCertificate out;
  TRY(out.key_type, check_key(key.get()));
  X509* leaf = chain.front().get();
  if (X509_check_private_key(leaf, key.get()) != 1) {
    ERR_clear_error();
    return fail(Code::invalid_argument, "private key: it is not that of the first certificate ({})",
                name_of(X509_get_subject_name(leaf)));
  }
  TRY_VOID(check_purpose(leaf));
  TRY_VOID(check_covers(leaf, host));
  TRY_VOID(check_order(chain));
  TRY_VOID(check_hashes(chain));
  TRY(out.not_before, wall_time(X509_get0_notBefore(leaf)));
  TRY(out.not_after, wall_time(X509_get0_notAfter(leaf)));
  if (out.not_after <= now) {
    return fail(Code::invalid_argument, "certificate: it has expired ({})",
                to_rfc3339(out.not_after));
  }
  if (out.not_before > now + kClockSkew) {
    return fail(Code::invalid_argument, "certificate: it is good from {} only; check the clock",
                to_rfc3339(out.not_before));
  }
  out.issuer = name_of(X509_get_issuer_name(leaf));
  TRY(out.chain_pem, text_of(chain));
  return out;
}

}  // namespace perigee::crypto
