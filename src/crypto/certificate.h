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
// A leaf for DNS names (and IP literals) signed by `ca`, valid `days` days, with the CA's
// certificate left out.
Result<KeyPair> issue(const KeyPair& ca, const std::vector<std::string>& names, WallTime now,
                      int days);
Result<WallTime> not_after(std::string_view certificate_pem);

}  // namespace perigee::crypto
