// X25519 (RFC 7748): the key pairs of WireGuard. A private key is 32 random bytes; what the
// algorithm wants fixed in them is fixed wherever it is used.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace perigee::crypto {

inline constexpr std::size_t kX25519KeyBytes = 32;

// Both as raw bytes; `invalid_argument` unless the private key has 32 of them.
Result<std::string> x25519_public_key(std::string_view private_key);

}  // namespace perigee::crypto
