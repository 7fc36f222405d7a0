// SHA-256, HMAC-free token hashing, constant-time comparison, base64.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace perigee::crypto {

// Incremental SHA-256 (FIPS 180-4).
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(std::string_view data);
  std::string hex();  // 64 lower-case digits; once, at the end

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view data);
bool equal_constant_time(std::string_view a, std::string_view b);
std::string base64_encode(std::string_view data);
Result<std::string> base64_decode(std::string_view text);

// Its form for URLs, without padding (RFC 4648 section 5, RFC 7515 appendix C).
Result<std::string> base64url_decode(std::string_view text);

}  // namespace perigee::crypto
