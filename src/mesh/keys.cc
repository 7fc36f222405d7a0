#include "mesh/keys.h"

#include <array>

#include "base/check.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "crypto/x25519.h"

namespace perigee::mesh {
namespace {

constexpr std::size_t kTextLength = 44;

Result<std::string> decode(std::string_view base64, std::string_view what) {
  if (base64.size() == kTextLength) {
    auto raw = crypto::base64_decode(base64);
    if (raw && raw->size() == crypto::kX25519KeyBytes) return *std::move(raw);
  }
  return fail(Code::invalid_argument,
              "not a WireGuard {} key: {} characters of base64 are one (wg genkey, wg pubkey)",
              what, kTextLength);
}

std::string clamp(std::string raw) {
  const auto byte = [&raw](std::size_t at) { return static_cast<unsigned char>(raw[at]); };
  raw[0] = static_cast<char>(byte(0) & 248U);
  raw[31] = static_cast<char>((byte(31) & 127U) | 64U);
  return raw;
}

}  // namespace

Result<PublicKey> PublicKey::parse(std::string_view base64) {
  TRY(const std::string raw, decode(base64, "public"));
  return from_raw(raw);
}

Result<PublicKey> PublicKey::from_raw(std::string_view raw) {
  if (raw.size() != crypto::kX25519KeyBytes || raw.find_first_not_of('\0') == raw.npos) {
    return fail(Code::invalid_argument, "not a WireGuard public key: {} bytes, not all zero",
                crypto::kX25519KeyBytes);
  }
  return PublicKey(std::string(raw));
}

std::string PublicKey::base64() const {
  return crypto::base64_encode(raw_);
}

PrivateKey PrivateKey::generate(sys::Entropy& entropy) {
  std::array<std::uint8_t, crypto::kX25519KeyBytes> bytes{};
  entropy.fill(bytes);
  const auto key = from_raw({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  PERIGEE_CHECK(key.has_value());  // any 32 bytes are a key
  return *key;
}

Result<PrivateKey> PrivateKey::parse(std::string_view base64) {
  TRY(const std::string raw, decode(base64, "private"));
  return from_raw(raw);
}

Result<PrivateKey> PrivateKey::from_raw(std::string_view raw) {
  if (raw.size() != crypto::kX25519KeyBytes) {
    return fail(Code::invalid_argument, "not a WireGuard private key: {} bytes are one",
                crypto::kX25519KeyBytes);
  }
  std::string clamped = clamp(std::string(raw));
  TRY(const std::string derived, crypto::x25519_public_key(clamped));
  TRY(PublicKey public_key, PublicKey::from_raw(derived));
  return PrivateKey(std::move(clamped), std::move(public_key));
}

PrivateKey::~PrivateKey() {
  crypto::wipe(raw_);
}

std::string PrivateKey::base64() const {
  return crypto::base64_encode(raw_);
}

}  // namespace perigee::mesh
