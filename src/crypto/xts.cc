#include "crypto/xts.h"

#include <openssl/evp.h>

#include <array>
#include <memory>

#include "base/check.h"
#include "crypto/openssl_error.h"

namespace perigee::crypto {
namespace {

constexpr std::size_t kMinUnit = 16;
constexpr std::size_t kMaxUnit = std::size_t{16} * 1024 * 1024;

struct ContextFree {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// "plain64": the number, little-endian, filled up with zeroes.
std::array<unsigned char, 16> tweak_of(std::uint64_t number) {
  std::array<unsigned char, 16> tweak{};
  for (std::size_t i = 0; i < sizeof number; ++i) {
    tweak.at(i) = static_cast<unsigned char>(number >> (8 * i));
  }
  return tweak;
}

}  // namespace

Result<std::string> xts_encrypt(std::string_view key, std::uint64_t number,
                                std::string_view plain) {
  PERIGEE_CHECK(key.size() == kXtsKeyBytes && plain.size() >= kMinUnit && plain.size() <= kMaxUnit);
  const std::unique_ptr<EVP_CIPHER_CTX, ContextFree> context(EVP_CIPHER_CTX_new());
  std::string out(plain.size(), '\0');
  int written = 0;
  if (!context ||
      EVP_EncryptInit_ex(context.get(), EVP_aes_256_xts(), nullptr, bytes(key),
                         tweak_of(number).data()) != 1 ||
      EVP_EncryptUpdate(context.get(), reinterpret_cast<unsigned char*>(out.data()), &written,
                        bytes(plain), static_cast<int>(plain.size())) != 1) {
    return fail(openssl_error(Code::internal, "AES-256-XTS"));
  }
  return out;
}

}  // namespace perigee::crypto
