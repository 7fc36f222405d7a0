#include "crypto/hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>

#include "base/check.h"
#include "base/text.h"

namespace perigee::crypto {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNotBase64 = 255;

constexpr std::array<std::uint8_t, 256> make_reverse() {
  std::array<std::uint8_t, 256> table{};
  table.fill(kNotBase64);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    table[static_cast<std::uint8_t>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return table;
}
constexpr std::array<std::uint8_t, 256> kReverse = make_reverse();

std::uint32_t byte_at(std::string_view data, std::size_t i) {
  return i < data.size() ? static_cast<std::uint8_t>(data[i]) : 0;
}

}  // namespace

struct Sha256::State {
  struct Free {
    void operator()(EVP_MD_CTX* unused) const { EVP_MD_CTX_free(unused); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context{EVP_MD_CTX_new()};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  PERIGEE_CHECK(EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) == 1);
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::string_view data) {
  PERIGEE_CHECK(EVP_DigestUpdate(state_->context.get(), data.data(), data.size()) == 1);
}

std::string Sha256::hex() {
  std::array<std::uint8_t, 32> digest{};
  PERIGEE_CHECK(EVP_DigestFinal_ex(state_->context.get(), digest.data(), nullptr) == 1);
  return to_hex(digest);
}

std::string sha256_hex(std::string_view data) {
  Sha256 hash;
  hash.update(data);
  return hash.hex();
}

bool equal_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string base64_encode(std::string_view data) {
  std::string out;
  out.reserve((data.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < data.size(); i += 3) {
    const std::uint32_t group =
        byte_at(data, i) << 16 | byte_at(data, i + 1) << 8 | byte_at(data, i + 2);
    out.push_back(kAlphabet[group >> 18]);
    out.push_back(kAlphabet[group >> 12 & 63]);
    out.push_back(i + 1 < data.size() ? kAlphabet[group >> 6 & 63] : '=');
    out.push_back(i + 2 < data.size() ? kAlphabet[group & 63] : '=');
  }
  return out;
}

// RFC 4648 section 4, padding required, unused bits zero: one text for each value.
Result<std::string> base64_decode(std::string_view text) {
  if (text.size() % 4 != 0) return fail(Code::invalid_argument, "base64: length is not 4n");
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  const std::string_view digits = text.substr(0, text.size() - padding);
  std::string out;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t group = 0;
  unsigned bits = 0;
  for (const char c : digits) {
    const std::uint8_t value = kReverse[static_cast<std::uint8_t>(c)];
    if (value == kNotBase64) return fail(Code::invalid_argument, "base64: invalid character");
    group = group << 6 | value;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out.push_back(static_cast<char>(group >> bits & 255));
    group &= (1U << bits) - 1;
  }
  if (group != 0) return fail(Code::invalid_argument, "base64: bits after the end");
  return out;
}

Result<std::string> base64url_decode(std::string_view text) {
  if (text.find_first_of("+/=") != std::string_view::npos) {
    return fail(Code::invalid_argument, "not base64url");
  }
  std::string usual(text);
  std::ranges::replace(usual, '-', '+');
  std::ranges::replace(usual, '_', '/');
  usual.append((4 - usual.size() % 4) % 4, '=');
  return base64_decode(usual);
}

}  // namespace perigee::crypto
