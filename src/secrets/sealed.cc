#include "secrets/sealed.h"

#include <algorithm>

#include "base/text.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "secrets/limits.h"

namespace perigee::secrets {
namespace {

constexpr std::string_view kPrefix = "sealed1:";

}  // namespace

std::string_view name(Kind kind) {
  switch (kind) {
    case Kind::app_secret:
      return "app-secret";
    case Kind::certificate_key:
      return "certificate-key";
    case Kind::ca_key:
      return "ca-key";
    case Kind::registry_password:
      return "registry-password";
    case Kind::volume_key:
      return "volume-key";
    case Kind::node_key:
      return "node-key";
    case Kind::acme_account:
      return "acme-account";
  }
  return "unknown";
}

std::optional<Kind> kind_of(std::string_view text) {
  const auto found = std::ranges::find(kAllKinds, text, name);
  return found == kAllKinds.end() ? std::nullopt : std::optional<Kind>(*found);
}

bool is_key_id(std::string_view text) {
  return !text.empty() && text.size() <= kMaxKeyIdBytes && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
  });
}

std::string to_text(const Sealed& sealed) {
  return fmt::format("{}{}:{}", kPrefix, sealed.key_id, crypto::base64_encode(sealed.bytes));
}

Result<Sealed> parse_sealed(std::string_view text) {
  constexpr std::size_t kOverhead = crypto::kAeadNonceBytes + crypto::kAeadTagBytes;
  if (!text.starts_with(kPrefix)) return fail(Code::data_loss, "not a sealed value");
  const auto parts = split_once(text.substr(kPrefix.size()), ':');
  if (!parts || !is_key_id(parts->first)) return fail(Code::data_loss, "sealed value: no key id");
  auto bytes = crypto::base64_decode(parts->second);
  if (!bytes) return fail(Code::data_loss, "sealed value: {}", bytes.error().context);
  if (bytes->size() < kOverhead || bytes->size() > kMaxPlainBytes + kOverhead) {
    return fail(Code::data_loss, "sealed value: {} bytes can't be one", bytes->size());
  }
  return Sealed{std::string(parts->first), *std::move(bytes)};
}

}  // namespace perigee::secrets
