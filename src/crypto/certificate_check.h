// check_certificate: whether a certificate that somebody brings, with its key, can serve a host.
//
//   TRY(CheckedCertificate good, check_certificate(chain_pem, key_pem, "www.example.com", now));
//
// Texts from outside: OpenSSL parses them, within the bounds below; each error says what is wrong
// and what to do. Who signed it is not judged: it may be anybody's CA. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "crypto/certificate.h"

namespace perigee::crypto {

inline constexpr std::size_t kMaxChainPem = 24 * 1024;
inline constexpr std::size_t kMaxKeyPem = 8 * 1024;

struct CheckedCertificate {
  KeyType key_type = KeyType::ecdsa;
  WallTime not_before;
  WallTime not_after;
  std::string issuer;     // its common name, else organization
  std::string chain_pem;  // the certificates and nothing else, leaf first
  bool operator==(const CheckedCertificate&) const = default;
};

// `host`: "www.example.com", or "*.example.com" for one that covers all of them.
Result<CheckedCertificate> check_certificate(std::string_view chain_pem, std::string_view key_pem,
                                             const std::string& host, WallTime now);

}  // namespace perigee::crypto
