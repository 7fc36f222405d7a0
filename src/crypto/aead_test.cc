#include "crypto/aead.h"

#include <doctest/doctest.h>

#include "base/text.h"

namespace perigee::crypto {
namespace {

std::string hex(std::string_view text) {
  return to_hex({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

const std::string kZeroKey(kAeadKeyBytes, '\0');
const std::string kZeroNonce(kAeadNonceBytes, '\0');

TEST_CASE("AES-256-GCM gives the specification's bytes") {
  // Test cases 13 and 14 of the GCM specification (McGrew, Viega).
  const AeadInput input{.key = kZeroKey, .nonce = kZeroNonce, .associated = ""};
  CHECK(hex(*aead_encrypt(input, "")) == "530f8afbc74536b9a963b4f1c4cb738b");
  CHECK(hex(*aead_encrypt(input, std::string(16, '\0'))) ==
        "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
}

TEST_CASE("what was encrypted opens with the same key, nonce and associated data, and no other") {
  const AeadInput input{.key = kZeroKey, .nonce = kZeroNonce, .associated = "here"};
  const std::string sealed = *aead_encrypt(input, "a secret");
  CHECK(*aead_decrypt(input, sealed) == "a secret");
  const std::string other_key(kAeadKeyBytes, '\1');
  const std::string other_nonce(kAeadNonceBytes, '\1');
  AeadInput wrong = input;
  wrong.key = other_key;
  CHECK(aead_decrypt(wrong, sealed).error().code == Code::data_loss);
  wrong = input;
  wrong.nonce = other_nonce;
  CHECK(aead_decrypt(wrong, sealed).error().code == Code::data_loss);
  wrong = input;
  wrong.associated = "there";
  CHECK(aead_decrypt(wrong, sealed).error().code == Code::data_loss);
}

TEST_CASE("a changed or shortened ciphertext is refused") {
  const AeadInput input{.key = kZeroKey, .nonce = kZeroNonce, .associated = ""};
  const std::string sealed = *aead_encrypt(input, "a secret");
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    std::string changed = sealed;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    CHECK_FALSE(aead_decrypt(input, changed).has_value());
    CHECK_FALSE(aead_decrypt(input, std::string_view(sealed).substr(0, i)).has_value());
  }
}

TEST_CASE("HMAC-SHA-256 is RFC 4231's") {
  CHECK(hex(hmac_sha256("Jefe", "what do ya want for nothing?")) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST_CASE("a wiped text is empty, and its memory is zero") {
  std::string text(40, 'x');
  const char* const memory = text.data();
  wipe(text);
  CHECK(text.empty());
  CHECK(std::string(memory + 1, 38) == std::string(38, '\0'));
}

}  // namespace
}  // namespace perigee::crypto
