#include "control/certificates.h"

#include "base/log.h"
#include "base/text.h"
#include "control/limits.h"
#include "crypto/aead.h"
#include "crypto/hash.h"

namespace perigee::control {
namespace {

constexpr std::size_t kMaxPem = 64 * 1024;
constexpr unsigned kPublicMode = 0644;
constexpr unsigned kPrivateMode = 0600;
constexpr std::string_view kClearKey = "-----BEGIN";

secrets::Place ca_place() {
  return {secrets::Kind::ca_key, "ca"};
}

async::Task<Result<crypto::KeyPair>> make(sys::Host& host, secrets::KeyFile& keys,
                                          std::string certificate_path, std::string key_path) {
  CO_TRY(crypto::KeyPair ca, crypto::create_ca("Perigee local CA", host.clock.wall()));
  CO_TRY(std::string sealed, keys.ring().seal(ca_place(), ca.private_key_pem, host.entropy));
  // The key first: a certificate without its key would have to be replaced, and trust in it again.
  const auto synced = sys::Durability::synced;
  CO_TRY_VOID(co_await host.disk.write_file(key_path, std::move(sealed), kPrivateMode, synced));
  CO_TRY_VOID(
      co_await host.disk.write_file(certificate_path, ca.certificate_pem, kPublicMode, synced));
  log_info("control", "made a local CA: {}", certificate_path);
  co_return ca;
}

}  // namespace

secrets::Place Certificates::place_of(std::string_view host_name) {
  return {secrets::Kind::certificate_key, std::string(host_name)};
}

Certificates::Certificates(sys::Host& host, secrets::KeyFile& keys, std::string key_path,
                           crypto::KeyPair ca, std::string sealed_key)
    : host_(host),
      keys_(keys),
      key_path_(std::move(key_path)),
      ca_(std::move(ca)),
      sealed_key_(std::move(sealed_key)),
      fingerprint_(crypto::sha256_hex(ca_.certificate_pem)) {}

Certificates::~Certificates() {
  crypto::wipe(ca_.private_key_pem);
}

async::Task<Result<std::unique_ptr<Certificates>>> Certificates::open(sys::Host& host,
                                                                      secrets::KeyFile& keys,
                                                                      std::string certificate_path,
                                                                      std::string key_path) {
  crypto::KeyPair ca;
  CO_TRY(const bool exists, co_await host.disk.exists(certificate_path));
  if (!exists) {
    CO_TRY(ca, co_await make(host, keys, certificate_path, key_path));
  }
  CO_TRY(ca.certificate_pem, co_await host.disk.read_file(certificate_path, kMaxPem));
  const std::string hint =
      fmt::format("the CA's key (remove {} to have a new CA made)", certificate_path);
  CO_TRY_AS(std::string stored, co_await host.disk.read_file(key_path, kMaxPem), hint);
  const bool clear = stored.starts_with(kClearKey);
  if (clear) {
    ca.private_key_pem = std::move(stored);
    stored.clear();
  } else {
    CO_TRY_AS(ca.private_key_pem, keys.ring().open(ca_place(), trim(stored)), hint);
  }
  std::unique_ptr<Certificates> made(
      new Certificates(host, keys, std::move(key_path), std::move(ca), std::string(trim(stored))));
  if (clear) CO_TRY_VOID(co_await made->seal_key_anew());
  // A CA that can't sign is found now, not at the first app.
  CO_TRY_AS([[maybe_unused]] const auto tried, made->issue("localhost"), certificate_path);
  co_return made;
}

async::Task<Result<void>> Certificates::seal_key_anew() {
  CO_TRY(std::string sealed, keys_.ring().seal(ca_place(), ca_.private_key_pem, host_.entropy));
  CO_TRY_VOID(
      co_await host_.disk.write_file(key_path_, sealed, kPrivateMode, sys::Durability::synced));
  sealed_key_ = std::move(sealed);
  co_return Result<void>();
}

Result<CertificateRecord> Certificates::issue(const std::string& host_name) const {
  TRY(crypto::KeyPair pair, crypto::issue(ca_, {host_name}, host_.clock.wall(), kCertificateDays));
  TRY(std::string sealed,
      keys_.ring().seal(place_of(host_name), pair.private_key_pem, host_.entropy));
  crypto::wipe(pair.private_key_pem);
  return CertificateRecord{pair.certificate_pem, std::move(sealed), fingerprint_};
}

bool Certificates::is_stale(const CertificateRecord& record) const {
  if (record.ca != fingerprint_ || record.private_key.empty()) return true;
  const Result<WallTime> end = crypto::not_after(record.certificate_pem);
  return !end || *end - host_.clock.wall() < kCertificateRenewal;
}

}  // namespace perigee::control
