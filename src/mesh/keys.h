// WireGuard's keys as values, and as the texts that wg(8) reads: 44 characters of base64.
//
//   const PrivateKey key = PrivateKey::generate(host.entropy);
//   TRY(const PublicKey peer, PublicKey::parse(record.wireguard_key));
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "base/result.h"
#include "sys/host.h"

namespace perigee::mesh {

class PublicKey {
 public:
  static Result<PublicKey> parse(std::string_view base64);
  static Result<PublicKey> from_raw(std::string_view raw);  // 32 bytes, not all zero

  const std::string& raw() const { return raw_; }
  std::string base64() const;
  auto operator<=>(const PublicKey&) const = default;

 private:
  explicit PublicKey(std::string raw) : raw_(std::move(raw)) {}
  std::string raw_;
};

// Wiped when it ends.
class PrivateKey {
 public:
  static PrivateKey generate(sys::Entropy& entropy);
  static Result<PrivateKey> parse(std::string_view base64);
  static Result<PrivateKey> from_raw(std::string_view raw);

  PrivateKey(const PrivateKey&) = default;
  PrivateKey& operator=(const PrivateKey&) = default;
  ~PrivateKey();

  const std::string& raw() const { return raw_; }
  std::string base64() const;
  const PublicKey& public_key() const { return public_key_; }
  bool operator==(const PrivateKey& other) const { return public_key_ == other.public_key_; }

 private:
  PrivateKey(std::string raw, PublicKey public_key)
      : raw_(std::move(raw)), public_key_(std::move(public_key)) {}
  std::string raw_;  // clamped (RFC 7748 section 5), as devices give it back
  PublicKey public_key_;
};

}  // namespace perigee::mesh
