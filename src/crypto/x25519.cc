#include "crypto/x25519.h"

#include <openssl/evp.h>

#include <memory>

#include "crypto/openssl_error.h"

namespace perigee::crypto {
namespace {

struct KeyFree {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

}  // namespace

Result<std::string> x25519_public_key(std::string_view private_key) {
  if (private_key.size() != kX25519KeyBytes) {
    return fail(Code::invalid_argument, "X25519: a private key has {} bytes, this one {}",
                kX25519KeyBytes, private_key.size());
  }
  const std::unique_ptr<EVP_PKEY, KeyFree> key(EVP_PKEY_new_raw_private_key(
      EVP_PKEY_X25519, nullptr, reinterpret_cast<const unsigned char*>(private_key.data()),
      private_key.size()));
  std::string out(kX25519KeyBytes, '\0');
  std::size_t size = out.size();
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), reinterpret_cast<unsigned char*>(out.data()),
                                          &size) != 1) {
    return fail(openssl_error(Code::internal, "X25519"));
  }
  return out;
}

}  // namespace perigee::crypto
