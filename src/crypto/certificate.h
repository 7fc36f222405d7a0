// The local CA and the certificates that it issues, as PEM texts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace perigee::crypto {

struct KeyPair {
  std::string certificate_pem;
  std::string private_key_pem;
};

// A self-signed CA (ECDSA P-256), valid 10 years from `now`.
Result<KeyPair> create_ca(std::string_view common_name, WallTime now);
// A leaf for DNS names (and IP literals) signed by `ca`, valid `days` days (and the hour before
// `now`: clocks differ), with the CA's certificate left out.
Result<KeyPair> issue(const KeyPair& ca, const std::vector<std::string>& names, WallTime now,
                      int days);

// The same for both ends of TLS and without a common name, as etcd wants it: it takes a common name
// for a user's.
Result<KeyPair> issue_nameless(const KeyPair& ca, const std::vector<std::string>& names,
                               WallTime now, int days);

// A key of one's own, and a request for its certificate (PKCS #10, RFC 2986) under that name.
struct RequestedKey {
  std::string request_pem;
  std::string private_key_pem;
};
Result<RequestedKey> request_certificate(std::string_view common_name);
// The certificate of a request's key as `names`, for both ends of TLS. What the request says beside
// its key counts for nothing; invalid_argument where it was not signed with that key.
Result<std::string> issue_requested(const KeyPair& ca, std::string_view request_pem,
                                    const std::vector<std::string>& names, WallTime now,
                                    Duration life);

// Which signatures a certificate's key makes.
enum class KeyType { ecdsa, rsa };
std::string_view name(KeyType type);  // "ecdsa"
Result<KeyType> parse_key_type(std::string_view text);
// A key (P-256, or RSA of 2048 bits), and a request for a public authority, which names `host`.
Result<RequestedKey> request_host_certificate(const std::string& host, KeyType type);
// A key (P-256) of an account with such an authority, as PEM.
Result<std::string> create_account_key();
// The self-signed certificate that proves to an authority whose `host` is (RFC 8737, section 3).
// `digest`: SHA-256 of the key authorization, 32 bytes.
Result<KeyPair> create_validation(const std::string& host, std::string_view digest, WallTime now);

// SHA-256 of the certificate (of the first in the text), in hex.
Result<std::string> fingerprint(std::string_view certificate_pem);
Result<WallTime> not_after(std::string_view certificate_pem);
// The moment from which less than a third of its life is left.
Result<WallTime> renewal_due(std::string_view certificate_pem);

}  // namespace perigee::crypto
