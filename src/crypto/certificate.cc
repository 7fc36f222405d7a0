#include "crypto/certificate.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <array>
#include <memory>

#include "crypto/hash.h"
#include "crypto/openssl_error.h"
#include "crypto/openssl_handles.h"

namespace perigee::crypto {
namespace {

constexpr Duration kDay = 24h;
constexpr Duration kValidationLife = 7 * kDay;  // it is taken away as soon as it was shown
constexpr int kCaDays = 3650;
constexpr std::int64_t kClockSkewSeconds = 3600;  // valid a little earlier than `now`
constexpr std::size_t kMaxNames = 100;
constexpr unsigned kRsaBits = 2048;
constexpr std::size_t kDigestBytes = 32;
constexpr const char* kAcmeIdentifier = "1.3.6.1.5.5.7.1.31";  // id-pe-acmeIdentifier

using Request = Handle<X509_REQ, X509_REQ_free>;
using Extension = Handle<X509_EXTENSION, X509_EXTENSION_free>;
struct ExtensionsFree {
  void operator()(STACK_OF(X509_EXTENSION) * all) const {
    sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
  }
};
using Extensions = std::unique_ptr<STACK_OF(X509_EXTENSION), ExtensionsFree>;

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

Result<Certificate> read_certificate(std::string_view pem) {
  Certificate certificate(PEM_read_bio_X509(reader(pem).get(), nullptr, no_passphrase, nullptr));
  if (!certificate) return fail(openssl_error(Code::invalid_argument, "PEM certificate"));
  return certificate;
}

Result<Key> read_key(std::string_view pem) {
  Key key(PEM_read_bio_PrivateKey(reader(pem).get(), nullptr, no_passphrase, nullptr));
  if (!key) return fail(openssl_error(Code::invalid_argument, "PEM private key"));
  return key;
}

Result<std::string> certificate_text(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(bio.get(), certificate) == 1) return text_of(bio.get());
  return fail(openssl_error(Code::internal, "write PEM"));
}

Result<std::string> key_text(EVP_PKEY* key) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1) {
    return text_of(bio.get());
  }
  return fail(openssl_error(Code::internal, "write PEM"));
}

Result<KeyPair> to_pem(X509* certificate, EVP_PKEY* key) {
  TRY(std::string certificate_pem, certificate_text(certificate));
  TRY(std::string key_pem, key_text(key));
  return KeyPair{.certificate_pem = std::move(certificate_pem),
                 .private_key_pem = std::move(key_pem)};
}

Result<void> add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1) {
    return fail(openssl_error(Code::invalid_argument, "certificate extension " + value));
  }
  return {};
}

// RFC 5280 section 4.1.2.2: positive, at most 20 octets, unpredictable.
Result<void> set_serial(X509* certificate) {
  std::array<unsigned char, 16> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
    return fail(openssl_error(Code::internal, "random serial number"));
  }
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7f) | 0x40);
  const Handle<BIGNUM, BN_free> number(
      BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
  if (!number || BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) == nullptr) {
    return fail(openssl_error(Code::internal, "serial number"));
  }
  return {};
}

constexpr const char* kCommonName = "CN";
constexpr const char* kOrganization = "O";

void add_to_name(X509_NAME* name, const char* field, std::string_view text) {
  // RFC 5280: ub-common-name and ub-organization-name are 64.
  text = text.substr(0, 64);
  X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(text.data()),
                             static_cast<int>(text.size()), -1, 0);
}

// Where there is no common name, the subject still must not be empty (RFC 5280 section 4.1.2.6).
Result<Certificate> blank(std::string_view common_name, WallTime now, Duration life,
                          EVP_PKEY* key) {
  Certificate certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  TRY_VOID(set_serial(certificate.get()));
  const std::int64_t seconds = now.ns / 1'000'000'000;
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), seconds - kClockSkewSeconds);
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), seconds + life / 1s);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  if (common_name.empty()) {
    add_to_name(subject, kOrganization, "Perigee");
  } else {
    add_to_name(subject, kCommonName, common_name);
  }
  return certificate;
}

Result<WallTime> wall_time(const ASN1_TIME* time) {
  std::tm broken{};
  if (ASN1_TIME_to_tm(time, &broken) != 1) {
    return fail(openssl_error(Code::invalid_argument, "a certificate's dates"));
  }
  return WallTime{static_cast<std::int64_t>(::timegm(&broken)) * 1'000'000'000};
}

bool is_ip(const std::string& name) {
  std::array<unsigned char, 16> bytes{};
  return inet_pton(AF_INET, name.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, name.c_str(), bytes.data()) == 1;
}

bool is_dns_name(const std::string& name) {
  return !name.empty() && name.size() <= 253 &&
         name.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._*") ==
             std::string::npos;
}

// "DNS:a.example,IP:127.0.0.1". Names are checked: a comma would add an entry of its own.
Result<std::string> alternative_names(const std::vector<std::string>& names) {
  if (names.empty() || names.size() > kMaxNames) {
    return fail(Code::invalid_argument, "a certificate needs 1 to {} names", kMaxNames);
  }
  std::string out;
  for (const std::string& name : names) {
    const bool ip = is_ip(name);
    if (!ip && !is_dns_name(name)) {
      return fail(Code::invalid_argument, "'{}' is not a host name", name);
    }
    if (!out.empty()) out += ',';
    out += (ip ? "IP:" : "DNS:") + name;
  }
  return out;
}

// Its content is the digest as an OCTET STRING, in the extension's own.
Result<void> add_acme_identifier(X509* certificate, std::string_view digest) {
  std::string content{'\x04', static_cast<char>(kDigestBytes)};
  content += digest;
  const Handle<ASN1_OBJECT, ASN1_OBJECT_free> kind(OBJ_txt2obj(kAcmeIdentifier, 1));
  const Handle<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free> octets(ASN1_OCTET_STRING_new());
  constexpr int kCritical = 1;
  Extension extension;
  if (kind && octets &&
      ASN1_OCTET_STRING_set(octets.get(), reinterpret_cast<const unsigned char*>(content.data()),
                            static_cast<int>(content.size())) == 1) {
    extension.reset(X509_EXTENSION_create_by_OBJ(nullptr, kind.get(), kCritical, octets.get()));
  }
  if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1) {
    return fail(openssl_error(Code::internal, "certificate extension acmeIdentifier"));
  }
  return {};
}

Result<RequestedKey> signed_request(X509_REQ* request, EVP_PKEY* key) {
  X509_REQ_set_version(request, X509_REQ_VERSION_1);
  if (X509_REQ_set_pubkey(request, key) != 1 || X509_REQ_sign(request, key, EVP_sha256()) == 0) {
    return fail(openssl_error(Code::internal, "sign the certificate request"));
  }
  const Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509_REQ(bio.get(), request) != 1) {
    return fail(openssl_error(Code::internal, "write PEM"));
  }
  TRY(std::string key_pem, key_text(key));
  return RequestedKey{.request_pem = text_of(bio.get()), .private_key_pem = std::move(key_pem)};
}

// What `key` may show itself with: a certificate of `ca`, for the ends of TLS in `usage`.
Result<Certificate> sign_leaf(const KeyPair& ca, EVP_PKEY* key, std::string_view common_name,
                              const std::vector<std::string>& names, const std::string& usage,
                              WallTime now, Duration life) {
  TRY(const std::string alternatives, alternative_names(names));
  TRY(const Certificate issuer, read_certificate(ca.certificate_pem));
  TRY(const Key issuer_key, read_key(ca.private_key_pem));
  TRY(Certificate certificate, blank(common_name, now, life, key));
  X509* x = certificate.get();
  X509_set_issuer_name(x, X509_get_subject_name(issuer.get()));
  TRY_VOID(add_extension(x, issuer.get(), NID_basic_constraints, "critical,CA:FALSE"));
  TRY_VOID(add_extension(x, issuer.get(), NID_key_usage, "critical,digitalSignature"));
  TRY_VOID(add_extension(x, issuer.get(), NID_ext_key_usage, usage));
  TRY_VOID(add_extension(x, issuer.get(), NID_subject_key_identifier, "hash"));
  TRY_VOID(add_extension(x, issuer.get(), NID_authority_key_identifier, "keyid"));
  TRY_VOID(add_extension(x, issuer.get(), NID_subject_alt_name, alternatives));
  if (X509_sign(x, issuer_key.get(), EVP_sha256()) == 0) {
    return fail(openssl_error(Code::internal, "sign the certificate of " + names.front()));
  }
  return certificate;
}

}  // namespace

Result<KeyPair> create_ca(std::string_view common_name, WallTime now) {
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return fail(openssl_error(Code::internal, "make an ECDSA key"));
  TRY(const Certificate certificate, blank(common_name, now, kCaDays * kDay, key.get()));
  X509* x = certificate.get();
  X509_set_issuer_name(x, X509_get_subject_name(x));
  TRY_VOID(add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  TRY_VOID(add_extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign"));
  TRY_VOID(add_extension(x, x, NID_subject_key_identifier, "hash"));
  if (X509_sign(x, key.get(), EVP_sha256()) == 0) {
    return fail(openssl_error(Code::internal, "sign the CA"));
  }
  return to_pem(x, key.get());
}

Result<KeyPair> issue(const KeyPair& ca, const std::vector<std::string>& names, WallTime now,
                      int days) {
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return fail(openssl_error(Code::internal, "make an ECDSA key"));
  const std::string common_name = names.empty() ? "" : names.front();
  TRY(const Certificate certificate,
      sign_leaf(ca, key.get(), common_name, names, "serverAuth", now, days * kDay));
  return to_pem(certificate.get(), key.get());
}

Result<KeyPair> issue_nameless(const KeyPair& ca, const std::vector<std::string>& names,
                               WallTime now, int days) {
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return fail(openssl_error(Code::internal, "make an ECDSA key"));
  TRY(const Certificate certificate,
      sign_leaf(ca, key.get(), "", names, "serverAuth,clientAuth", now, days * kDay));
  return to_pem(certificate.get(), key.get());
}

Result<RequestedKey> request_certificate(std::string_view common_name) {
  const Key key(EVP_EC_gen("P-256"));
  const Request request(X509_REQ_new());
  if (!key || !request) return fail(openssl_error(Code::internal, "make an ECDSA key"));
  add_to_name(X509_REQ_get_subject_name(request.get()), kCommonName, common_name);
  return signed_request(request.get(), key.get());
}

std::string_view name(KeyType type) {
  return type == KeyType::ecdsa ? "ecdsa" : "rsa";
}

Result<KeyType> parse_key_type(std::string_view text) {
  for (const KeyType type : {KeyType::ecdsa, KeyType::rsa}) {
    if (text == name(type)) return type;
  }
  return fail(Code::invalid_argument, "'{}' is not ecdsa or rsa", text);
}

// The name stands among the alternative ones alone (RFC 8555, section 7.4).
Result<RequestedKey> request_host_certificate(const std::string& host, KeyType type) {
  const Key key(type == KeyType::ecdsa ? EVP_EC_gen("P-256") : EVP_RSA_gen(kRsaBits));
  const Request request(X509_REQ_new());
  if (!key || !request) return fail(openssl_error(Code::internal, "make a key"));
  TRY(const std::string names, alternative_names({host}));
  X509V3_CTX context;
  X509V3_set_ctx(&context, nullptr, nullptr, request.get(), nullptr, 0);
  const Extensions extensions(sk_X509_EXTENSION_new_null());
  X509_EXTENSION* added =
      X509V3_EXT_conf_nid(nullptr, &context, NID_subject_alt_name, names.c_str());
  if (added == nullptr || sk_X509_EXTENSION_push(extensions.get(), added) == 0 ||
      X509_REQ_add_extensions(request.get(), extensions.get()) != 1) {
    return fail(openssl_error(Code::internal, "name " + host + " in a certificate request"));
  }
  return signed_request(request.get(), key.get());
}

Result<std::string> create_account_key() {
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return fail(openssl_error(Code::internal, "make an ECDSA key"));
  return key_text(key.get());
}

Result<KeyPair> create_validation(const std::string& host, std::string_view digest, WallTime now) {
  if (digest.size() != kDigestBytes) {
    return fail(Code::invalid_argument, "the digest of a key authorization has {} bytes, not {}",
                kDigestBytes, digest.size());
  }
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return fail(openssl_error(Code::internal, "make an ECDSA key"));
  TRY(const std::string names, alternative_names({host}));
  TRY(const Certificate certificate, blank(host, now, kValidationLife, key.get()));
  X509* x = certificate.get();
  X509_set_issuer_name(x, X509_get_subject_name(x));
  TRY_VOID(add_extension(x, x, NID_subject_alt_name, names));
  TRY_VOID(add_acme_identifier(x, digest));
  if (X509_sign(x, key.get(), EVP_sha256()) == 0) {
    return fail(openssl_error(Code::internal, "sign the validation of " + host));
  }
  return to_pem(x, key.get());
}

Result<std::string> issue_requested(const KeyPair& ca, std::string_view request_pem,
                                    const std::vector<std::string>& names, WallTime now,
                                    Duration life) {
  const Request request(
      PEM_read_bio_X509_REQ(reader(request_pem).get(), nullptr, nullptr, nullptr));
  if (!request) return fail(openssl_error(Code::invalid_argument, "PEM certificate request"));
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  if (key == nullptr || X509_REQ_verify(request.get(), key) != 1) {
    return fail(openssl_error(Code::invalid_argument, "signature of the certificate request"));
  }
  const std::string common_name = names.empty() ? "" : names.front();
  TRY(const Certificate certificate,
      sign_leaf(ca, key, common_name, names, "serverAuth,clientAuth", now, life));
  return certificate_text(certificate.get());
}

Result<std::string> fingerprint(std::string_view certificate_pem) {
  TRY(const Certificate certificate, read_certificate(certificate_pem));
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate.get(), &der);
  if (size <= 0) return fail(openssl_error(Code::invalid_argument, "certificate"));
  std::string hash =
      sha256_hex({reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  return hash;
}

Result<WallTime> not_after(std::string_view certificate_pem) {
  TRY(const Certificate certificate, read_certificate(certificate_pem));
  return wall_time(X509_get0_notAfter(certificate.get()));
}

Result<WallTime> renewal_due(std::string_view certificate_pem) {
  TRY(const Certificate certificate, read_certificate(certificate_pem));
  TRY(const WallTime begin, wall_time(X509_get0_notBefore(certificate.get())));
  TRY(const WallTime end, wall_time(X509_get0_notAfter(certificate.get())));
  const Duration life = end - begin - std::chrono::seconds(kClockSkewSeconds);
  return end + -life / 3;
}

}  // namespace perigee::crypto
