// Sealed: a confidential value as everybody but its owner sees it, in the store, on feeds and on
// disk. docs/formats/sealed.md has the text form; key_ring.h seals and opens.
//
//   sealed1:k5f0c2a9e:BASE64
//
// Plain values.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace perigee::secrets {

// What a value is. Each kind has keys of its own, derived from the ring's, so that a program that
// needs one kind is given nothing that opens another.
enum class Kind {
  app_secret,         // named APP/NAME
  certificate_key,    // named by its host
  ca_key,             // named "ca"
  registry_password,  // named by the registry
  volume_key,         // named by the volume's id
  node_key,           // named by node and purpose
  acme_account,       // named "account"
};
inline constexpr std::array kAllKinds{
    Kind::app_secret, Kind::certificate_key, Kind::ca_key,      Kind::registry_password,
    Kind::volume_key, Kind::node_key,        Kind::acme_account};
std::string_view name(Kind kind);  // "app-secret"
std::optional<Kind> kind_of(std::string_view name);

// Where a value belongs. It opens at no other place: a sealed value that is copied to another app's
// record is of no use there.
struct Place {
  Kind kind = Kind::app_secret;
  std::string name;
  bool operator==(const Place&) const = default;
};

struct Sealed {
  std::string key_id;
  std::string bytes;  // nonce, ciphertext, tag
  bool operator==(const Sealed&) const = default;
};

// 1 to 32 of a-z and 0-9.
bool is_key_id(std::string_view text);

std::string to_text(const Sealed& sealed);
// `data_loss` for anything that to_text does not write.
Result<Sealed> parse_sealed(std::string_view text);

}  // namespace perigee::secrets
