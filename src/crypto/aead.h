// Authenticated encryption and keyed hashes: AES-256-GCM, HMAC-SHA-256, and memory that is wiped.
//
// Plain primitives over bytes; src/secrets gives them keys, places and a text form. A nonce must
// never be used twice with one key: take it from an Entropy, and change keys long before 2^32
// messages.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace perigee::crypto {

inline constexpr std::size_t kAeadKeyBytes = 32;
inline constexpr std::size_t kAeadNonceBytes = 12;
inline constexpr std::size_t kAeadTagBytes = 16;

// What makes a message: it opens only with the same three.
struct AeadInput {
  std::string_view key;    // kAeadKeyBytes
  std::string_view nonce;  // kAeadNonceBytes
  std::string_view associated;
};

// The ciphertext, as long as `plain`, followed by the tag.
Result<std::string> aead_encrypt(const AeadInput& input, std::string_view plain);
// `data_loss` where key, nonce, associated data or ciphertext is not what was encrypted.
Result<std::string> aead_decrypt(const AeadInput& input, std::string_view ciphertext_and_tag);

// 32 bytes (RFC 2104).
std::string hmac_sha256(std::string_view key, std::string_view data);

// Overwrites the text in a way that no compiler leaves out, and empties it.
void wipe(std::string& text);

}  // namespace perigee::crypto
