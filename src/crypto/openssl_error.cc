#include "crypto/openssl_error.h"

#include <openssl/err.h>

namespace perigee::crypto {

Error openssl_error(Code code, std::string_view what) {
  const unsigned long number = ERR_peek_last_error();
  const char* reason = number == 0 ? nullptr : ERR_reason_error_string(number);
  ERR_clear_error();
  return Error::make(code,
                     fmt::format("{}: {}", what, reason == nullptr ? "no reason given" : reason));
}

}  // namespace perigee::crypto
