#include "secrets/key_ring.h"

#include "base/text.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "secrets/limits.h"

namespace perigee::secrets {
namespace {

constexpr std::int64_t kVersion = 1;
constexpr std::size_t kKeyIdRandom = 6;
constexpr std::size_t kDigestDigits = 16;

// Part of the derivation: a change makes every sealed value unreadable.
std::string derive(std::string_view secret, Kind kind) {
  return crypto::hmac_sha256(secret, fmt::format("perigee seal 1 {}", name(kind)));
}

std::string associated_with(Kind kind, std::string_view place) {
  return fmt::format("{}\n{}", name(kind), place);
}

Result<std::string> open_with(std::string_view key, Kind kind, std::string_view place,
                              const Sealed& sealed) {
  const std::string_view bytes = sealed.bytes;
  const std::string associated = associated_with(kind, place);
  auto plain = crypto::aead_decrypt(
      {.key = key, .nonce = bytes.substr(0, crypto::kAeadNonceBytes), .associated = associated},
      bytes.substr(crypto::kAeadNonceBytes));
  if (plain) return plain;
  return fail(Code::data_loss, "{} {}: it was not sealed for this place, or was changed",
              name(kind), place);
}

Error unknown_key(Kind kind, std::string_view place, std::string_view key_id) {
  return Error::make(Code::not_found,
                     fmt::format("{} {}: it is sealed with key {}, which the key ring does not "
                                 "have (restore the ring that belongs to this store)",
                                 name(kind), place, key_id));
}

Error not_for_this_node(Kind kind, std::string_view verb) {
  return Error::make(Code::permission_denied,
                     fmt::format("this node's key ring does not {} values of the kind {}: control "
                                 "has not given it their keys",
                                 verb, name(kind)));
}

Result<std::string> key_bytes(const json::Value& value, std::string_view member) {
  TRY(std::string text, value.require_string(member));
  auto key = crypto::base64_decode(text);
  crypto::wipe(text);
  if (!key || key->size() != crypto::kAeadKeyBytes) {
    return fail(Code::data_loss, "{}: expected {} bytes in base64", member, crypto::kAeadKeyBytes);
  }
  return key;
}

}  // namespace

std::string random_key(sys::Entropy& entropy, std::size_t bytes) {
  std::string out(bytes, '\0');
  entropy.fill({reinterpret_cast<std::uint8_t*>(out.data()), out.size()});
  return out;
}

// ---- KindKeys ----

KindKeys::~KindKeys() {
  for (auto& [id, key] : keys_) crypto::wipe(key);
}

Result<std::string> KindKeys::open(std::string_view place, std::string_view text) const {
  TRY_AS(const Sealed sealed, parse_sealed(text), fmt::format("{} {}", name(kind_), place));
  const auto key = keys_.find(sealed.key_id);
  if (key == keys_.end()) return fail(unknown_key(kind_, place, sealed.key_id));
  return open_with(key->second, kind_, place, sealed);
}

std::vector<std::string> KindKeys::derive(std::string_view label) const {
  std::vector<std::string> out;
  out.reserve(keys_.size());
  for (const auto& [id, key] : keys_) {
    out.push_back(crypto::hmac_sha256(key, fmt::format("perigee derived 1 {}", label)));
  }
  return out;
}

json::Value KindKeys::to_json() const {
  json::Value out = json::object();
  for (const auto& [id, key] : keys_) out.set(id, crypto::base64_encode(key));
  return out;
}

Result<KindKeys> KindKeys::from(Kind kind, const json::Value& value) {
  KindKeys keys(kind);
  if (value.members().size() > kMaxKeys)
    return fail(Code::data_loss, "more than {} keys", kMaxKeys);
  for (const auto& [id, unused] : value.members()) {
    if (!is_key_id(id)) return fail(Code::data_loss, "'{}' is not a key's id", id);
    TRY(std::string key, key_bytes(value, id));
    keys.add(id, std::move(key));
  }
  return keys;
}

// ---- KeyRing ----

KeyRing::~KeyRing() {
  crypto::wipe(digest_key_);
  for (auto& [id, key] : keys_) {
    crypto::wipe(key.secret);
    for (auto& [kind, derived] : key.derived) crypto::wipe(derived);
  }
}

KeyRing KeyRing::create(sys::Entropy& entropy, WallTime now) {
  KeyRing ring;
  ring.digest_key_ = random_key(entropy, crypto::kAeadKeyBytes);
  [[maybe_unused]] const auto made = ring.rotate(entropy, now);  // an empty ring has room
  return ring;
}

Result<KeyRing::Key> KeyRing::key_from(const json::Value& value, bool restricted) {
  Key key;
  TRY(key.created_at.ns, value.optional_int("created_at_ns", 0));
  if (!restricted) {
    TRY(key.secret, key_bytes(value, "secret"));
    return key;
  }
  const json::Value* kinds = value.find("kinds");
  if (kinds == nullptr) return fail(Code::data_loss, "kinds: missing");
  for (const auto& [text, unused] : kinds->members()) {
    const std::optional<Kind> kind = kind_of(text);
    if (!kind) continue;  // a later version's
    TRY_AS(key.derived[*kind], key_bytes(*kinds, text), "kinds");
  }
  return key;
}

std::string KeyRing::key_for(const Key& key, Kind kind) {
  if (!key.secret.empty()) return derive(key.secret, kind);
  const auto found = key.derived.find(kind);
  return found == key.derived.end() ? std::string() : found->second;
}

Result<KeyRing> KeyRing::parse(std::string_view text) {
  TRY(const json::Value value, json::parse(text));
  TRY(const std::int64_t version, value.require_int("version"));
  if (version != kVersion) return fail(Code::unsupported, "key ring of version {}", version);
  KeyRing ring;
  TRY(ring.restricted_, value.optional_bool("restricted", false));
  TRY(ring.primary_, value.require_string("primary"));
  if (!ring.restricted_) {
    TRY(ring.digest_key_, key_bytes(value, "digest_key"));
  }
  const json::Value* keys = value.find("keys");
  const json::Object none;
  for (const auto& [id, entry] : keys == nullptr ? none : keys->members()) {
    if (ring.keys_.size() >= kMaxKeys) return fail(Code::data_loss, "more than {} keys", kMaxKeys);
    if (!is_key_id(id)) return fail(Code::data_loss, "keys: '{}' is not a key's id", id);
    TRY_AS(Key key, key_from(entry, ring.restricted_), "keys." + id);
    ring.keys_[id] = std::move(key);
  }
  if (!ring.keys_.contains(ring.primary_)) {
    return fail(Code::data_loss, "primary: there is no key {}", ring.primary_);
  }
  return ring;
}

std::string KeyRing::text() const {
  if (restricted_) return text_for(kAllKinds);
  json::Value keys = json::object();
  for (const auto& [id, key] : keys_) {
    keys.set(id, json::object({{"created_at_ns", key.created_at.ns},
                               {"secret", crypto::base64_encode(key.secret)}}));
  }
  return json::object({{"version", kVersion},
                       {"primary", primary_},
                       {"digest_key", crypto::base64_encode(digest_key_)},
                       {"keys", std::move(keys)}})
             .dump_pretty() +
         "\n";
}

std::string KeyRing::text_for(std::span<const Kind> kinds) const {
  json::Value keys = json::object();
  for (const auto& [id, key] : keys_) {
    json::Value derived = json::object();
    for (const Kind kind : kinds) {
      std::string bytes = key_for(key, kind);
      if (!bytes.empty()) derived.set(name(kind), crypto::base64_encode(bytes));
      crypto::wipe(bytes);
    }
    keys.set(id,
             json::object({{"created_at_ns", key.created_at.ns}, {"kinds", std::move(derived)}}));
  }
  return json::object({{"version", kVersion},
                       {"restricted", true},
                       {"primary", primary_},
                       {"keys", std::move(keys)}})
             .dump_pretty() +
         "\n";
}

Result<std::string> KeyRing::seal(const Place& place, std::string_view plain,
                                  sys::Entropy& entropy) const {
  if (plain.size() > kMaxPlainBytes) {
    return fail(Code::invalid_argument, "{} {}: longer than {} bytes", name(place.kind), place.name,
                kMaxPlainBytes);
  }
  if (restricted_) return fail(not_for_this_node(place.kind, "seal"));
  std::string key = derive(keys_.find(primary_)->second.secret, place.kind);
  std::string bytes = random_key(entropy, crypto::kAeadNonceBytes);
  const std::string associated = associated_with(place.kind, place.name);
  const auto encrypted =
      crypto::aead_encrypt({.key = key, .nonce = bytes, .associated = associated}, plain);
  crypto::wipe(key);
  if (!encrypted) return fail(encrypted.error());
  bytes += *encrypted;
  return to_text({primary_, std::move(bytes)});
}

Result<std::string> KeyRing::open(const Place& place, std::string_view text) const {
  TRY_AS(const Sealed sealed, parse_sealed(text),
         fmt::format("{} {}", name(place.kind), place.name));
  const auto found = keys_.find(sealed.key_id);
  if (found == keys_.end()) return fail(unknown_key(place.kind, place.name, sealed.key_id));
  std::string key = key_for(found->second, place.kind);
  if (key.empty()) return fail(not_for_this_node(place.kind, "open"));
  auto plain = open_with(key, place.kind, place.name, sealed);
  crypto::wipe(key);
  return plain;
}

KindKeys KeyRing::keys_of(Kind kind) const {
  KindKeys out(kind);
  for (const auto& [id, key] : keys_) {
    std::string bytes = key_for(key, kind);
    if (!bytes.empty()) out.add(id, std::move(bytes));
  }
  return out;
}

std::string KeyRing::digest(const Place& place, std::string_view plain) const {
  std::string text = associated_with(place.kind, place.name);
  text += '\n';
  text += plain;
  const std::string mac = crypto::hmac_sha256(digest_key_, text);
  crypto::wipe(text);
  return to_hex({reinterpret_cast<const std::uint8_t*>(mac.data()), mac.size()})
      .substr(0, kDigestDigits);
}

bool KeyRing::is_current(std::string_view text) const {
  const auto sealed = parse_sealed(text);
  return sealed && sealed->key_id == primary_;
}

std::vector<std::string> KeyRing::key_ids() const {
  std::vector<std::string> out;
  for (const auto& [id, key] : keys_) out.push_back(id);
  return out;
}

Result<void> KeyRing::rotate(sys::Entropy& entropy, WallTime now) {
  if (restricted_) {
    return fail(Code::permission_denied, "the keys of a fleet are rotated on a node with control");
  }
  if (keys_.size() >= kMaxKeys) {
    return fail(Code::resource_exhausted,
                "the key ring holds {} keys, the most: values are still sealed with the old ones "
                "(see control's log)",
                kMaxKeys);
  }
  primary_ = "k" + sys::random_hex(entropy, kKeyIdRandom);
  keys_[primary_] = {
      .secret = random_key(entropy, crypto::kAeadKeyBytes), .derived = {}, .created_at = now};
  return {};
}

void KeyRing::retire(std::string_view key_id) {
  const auto found = keys_.find(key_id);
  if (found == keys_.end() || key_id == primary_) return;
  crypto::wipe(found->second.secret);
  keys_.erase(found);
}

}  // namespace perigee::secrets
