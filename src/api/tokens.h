// Who may call: bearer tokens, known by their SHA-256 alone, and user ids on Unix sockets.
#pragma once

#include <string>
#include <vector>

#include "api/types.h"

namespace perigee::api {

class Tokens {
 public:
  // SHA-256 in hex of each valid token. Replaces what was known.
  void replace(std::vector<std::string> hashes) { hashes_ = std::move(hashes); }
  // `Authorization: Bearer TOKEN` (or `FlyV1 TOKEN`): all hashes are compared, in constant time.
  Result<void> check(const http::Request& request) const;
  // A guard that asks this object, which must outlive it.
  Guard guard() const;

 private:
  std::vector<std::string> hashes_;
};

Guard open_to_all();
// Unix sockets: the peer's user id is one of these.
Guard uid_guard(std::vector<std::uint32_t> allowed);

}  // namespace perigee::api
