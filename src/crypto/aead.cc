#include "crypto/aead.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <limits>
#include <memory>

#include "base/check.h"
#include "crypto/openssl_error.h"

namespace perigee::crypto {
namespace {

struct ContextFree {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, ContextFree>;

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* bytes(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}
int size(std::string_view text) {
  PERIGEE_CHECK(text.size() <= std::numeric_limits<int>::max());
  return static_cast<int>(text.size());
}

enum class Direction { decrypt = 0, encrypt = 1 };

// A cipher that has taken key, nonce and associated data.
Result<Context> begin(const AeadInput& input, Direction direction) {
  PERIGEE_CHECK(input.key.size() == kAeadKeyBytes && input.nonce.size() == kAeadNonceBytes);
  Context context(EVP_CIPHER_CTX_new());
  int ignored = 0;
  if (!context ||
      EVP_CipherInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, bytes(input.key),
                        bytes(input.nonce), static_cast<int>(direction)) != 1 ||
      EVP_CipherUpdate(context.get(), nullptr, &ignored, bytes(input.associated),
                       size(input.associated)) != 1) {
    return fail(openssl_error(Code::internal, "AES-256-GCM"));
  }
  return context;
}

}  // namespace

Result<std::string> aead_encrypt(const AeadInput& input, std::string_view plain) {
  TRY(const Context context, begin(input, Direction::encrypt));
  std::string out(plain.size() + kAeadTagBytes, '\0');
  int written = 0;
  int rest = 0;
  if (EVP_CipherUpdate(context.get(), bytes(out), &written, bytes(plain), size(plain)) != 1 ||
      EVP_CipherFinal_ex(context.get(), bytes(out) + written, &rest) != 1 ||
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kAeadTagBytes,
                          bytes(out) + plain.size()) != 1) {
    return fail(openssl_error(Code::internal, "AES-256-GCM"));
  }
  return out;
}

Result<std::string> aead_decrypt(const AeadInput& input, std::string_view ciphertext_and_tag) {
  if (ciphertext_and_tag.size() < kAeadTagBytes) {
    return fail(Code::data_loss, "AES-256-GCM: shorter than its tag");
  }
  const std::size_t length = ciphertext_and_tag.size() - kAeadTagBytes;
  std::string tag(ciphertext_and_tag.substr(length));
  TRY(const Context context, begin(input, Direction::decrypt));
  std::string out(length, '\0');
  int written = 0;
  int rest = 0;
  const bool good =
      EVP_CipherUpdate(context.get(), bytes(out), &written, bytes(ciphertext_and_tag),
                       static_cast<int>(length)) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kAeadTagBytes, tag.data()) == 1 &&
      EVP_CipherFinal_ex(context.get(), bytes(out) + written, &rest) == 1;
  if (good) return out;
  wipe(out);  // what was decrypted before the tag proved wrong is nobody's to see
  return fail(Code::data_loss, "AES-256-GCM: the key or the place is another, or it was changed");
}

std::string hmac_sha256(std::string_view key, std::string_view data) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  PERIGEE_CHECK(HMAC(EVP_sha256(), key.data(), size(key), bytes(data), data.size(), digest.data(),
                     &length) != nullptr);
  return {reinterpret_cast<const char*>(digest.data()), length};
}

void wipe(std::string& text) {
  OPENSSL_cleanse(text.data(), text.size());
  text.clear();
}

}  // namespace perigee::crypto
