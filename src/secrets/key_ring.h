// KeyRing: the keys that seal everything confidential, as a value. Pure: key_file.h keeps it on
// disk.
//
//   Result<std::string> text = ring.seal({Kind::app_secret, "hello/DB_URL"}, value, entropy);
//   Result<std::string> plain = ring.open({Kind::app_secret, "hello/DB_URL"}, *text);
//
// The primary key seals; the others only open what they once sealed, until it is sealed anew and
// they are retired. No key is used itself: a key of each kind is derived from it, so that KindKeys,
// the part that opens one kind, can be given to a process that shall open nothing else.
// A node of a fleet without control has a restricted ring, `text_for` some kinds: it opens those
// and seals nothing. For a volume: `random_key` makes one, `seal({Kind::volume_key, id}, …)` makes
// it fit to store.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "json/json.h"
#include "secrets/sealed.h"
#include "sys/host.h"

namespace perigee::secrets {

// Opens values of one kind. Wiped when it goes.
class KindKeys {
 public:
  KindKeys() = default;
  explicit KindKeys(Kind kind) : kind_(kind) {}
  KindKeys(const KindKeys&) = default;
  KindKeys& operator=(const KindKeys&) = default;
  KindKeys(KindKeys&&) = default;
  KindKeys& operator=(KindKeys&&) = default;
  ~KindKeys();

  void add(std::string key_id, std::string key) { keys_[std::move(key_id)] = std::move(key); }
  bool has(std::string_view key_id) const { return keys_.contains(key_id); }
  // not_found where it was sealed with a key that is not here; data_loss where it was not sealed
  // for this place, or was changed. No error holds any part of the value.
  Result<std::string> open(std::string_view name, std::string_view sealed) const;

  // {"k1": "base64", …}: what a process that may open this kind is sent.
  json::Value to_json() const;
  // Of each key another one, for a use that `label` tells apart: the same wherever that key is, and
  // as secret. 32 bytes.
  std::vector<std::string> derive(std::string_view label) const;
  static Result<KindKeys> from(Kind kind, const json::Value& value);

 private:
  Kind kind_ = Kind::app_secret;
  std::map<std::string, std::string, std::less<>> keys_;
};

class KeyRing {
 public:
  static KeyRing create(sys::Entropy& entropy, WallTime now);
  static Result<KeyRing> parse(std::string_view text);
  std::string text() const;
  // A ring that opens values of `kinds` and nothing else.
  std::string text_for(std::span<const Kind> kinds) const;
  bool is_restricted() const { return restricted_; }

  Result<std::string> seal(const Place& place, std::string_view plain, sys::Entropy& entropy) const;
  Result<std::string> open(const Place& place, std::string_view sealed) const;
  KindKeys keys_of(Kind kind) const;

  // What is shown of a value that is not: the same for the same value at the same place, and of no
  // use to a guesser who does not have the ring. 16 hex digits. It outlives rotations.
  std::string digest(const Place& place, std::string_view plain) const;

  // Whether this must be sealed anew before the ring holds its primary key alone.
  bool is_current(std::string_view sealed) const;
  const std::string& primary() const { return primary_; }
  std::vector<std::string> key_ids() const;

  // A new key becomes the primary; resource_exhausted where too many old ones are left.
  Result<void> rotate(sys::Entropy& entropy, WallTime now);
  // Forgets a key other than the primary.
  void retire(std::string_view key_id);

  ~KeyRing();
  KeyRing(const KeyRing&) = default;
  KeyRing& operator=(const KeyRing&) = default;
  KeyRing(KeyRing&&) = default;
  KeyRing& operator=(KeyRing&&) = default;
  bool operator==(const KeyRing&) const = default;

 private:
  struct Key {
    std::string secret;                   // empty in a restricted ring
    std::map<Kind, std::string> derived;  // in a restricted ring alone
    WallTime created_at;
    bool operator==(const Key&) const = default;
  };
  KeyRing() = default;
  static Result<Key> key_from(const json::Value& value, bool restricted);
  // What seals and opens values of that kind; empty where this ring may not.
  static std::string key_for(const Key& key, Kind kind);

  bool restricted_ = false;
  std::string primary_;
  std::string digest_key_;
  std::map<std::string, Key, std::less<>> keys_;
};

// Fresh bytes for a key of somebody else's, such as a volume's.
std::string random_key(sys::Entropy& entropy, std::size_t bytes);

}  // namespace perigee::secrets
