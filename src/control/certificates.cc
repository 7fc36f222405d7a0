#include "control/certificates.h"

#include "base/log.h"
#include "control/limits.h"
#include "crypto/hash.h"

namespace perigee::control {
namespace {

constexpr std::size_t kMaxPem = 64 * 1024;
constexpr unsigned kPublicMode = 0644;
constexpr unsigned kPrivateMode = 0600;

async::Task<Result<crypto::KeyPair>> make(sys::Host& host, std::string certificate_path,
                                          std::string key_path) {
  CO_TRY(crypto::KeyPair ca, crypto::create_ca("Perigee local CA", host.clock.wall()));
  // The key first: a certificate without its key would have to be replaced, and trust in it again.
  const auto synced = sys::Durability::synced;
  CO_TRY_VOID(co_await host.disk.write_file(key_path, ca.private_key_pem, kPrivateMode, synced));
  CO_TRY_VOID(
      co_await host.disk.write_file(certificate_path, ca.certificate_pem, kPublicMode, synced));
  log_info("control", "made a local CA: {}", certificate_path);
  co_return ca;
}

}  // namespace

Certificates::Certificates(sys::Host& host, crypto::KeyPair ca)
    : host_(host), ca_(std::move(ca)), fingerprint_(crypto::sha256_hex(ca_.certificate_pem)) {}

async::Task<Result<std::unique_ptr<Certificates>>> Certificates::open(sys::Host& host,
                                                                      std::string certificate_path,
                                                                      std::string key_path) {
  crypto::KeyPair ca;
  CO_TRY(const bool exists, co_await host.disk.exists(certificate_path));
  if (exists) {
    CO_TRY(ca.certificate_pem, co_await host.disk.read_file(certificate_path, kMaxPem));
    CO_TRY_AS(ca.private_key_pem, co_await host.disk.read_file(key_path, kMaxPem),
              fmt::format("the CA's key (remove {} to have a new CA made)", certificate_path));
  } else {
    CO_TRY(ca, co_await make(host, certificate_path, key_path));
  }
  std::unique_ptr<Certificates> made(new Certificates(host, std::move(ca)));
  // A CA that can't sign is found now, not at the first app.
  CO_TRY_AS([[maybe_unused]] const auto tried, made->issue("localhost"), certificate_path);
  co_return made;
}

Result<CertificateRecord> Certificates::issue(const std::string& host_name) const {
  TRY(const crypto::KeyPair pair,
      crypto::issue(ca_, {host_name}, host_.clock.wall(), kCertificateDays));
  return CertificateRecord{pair.certificate_pem, pair.private_key_pem, fingerprint_};
}

bool Certificates::is_stale(const CertificateRecord& record) const {
  if (record.ca != fingerprint_) return true;
  const Result<WallTime> end = crypto::not_after(record.certificate_pem);
  return !end || *end - host_.clock.wall() < kCertificateRenewal;
}

}  // namespace perigee::control
