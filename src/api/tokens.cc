#include "api/tokens.h"

#include <algorithm>

#include "api/limits.h"
#include "base/text.h"
#include "crypto/hash.h"

namespace perigee::api {
namespace {

Result<std::string> bearer(const http::Request& request) {
  const std::string_view* field = request.head.headers.find("authorization");
  if (field == nullptr || request.head.headers.count("authorization") != 1)
    return fail(Code::unauthenticated,
                "no token: send the header \"Authorization: Bearer TOKEN\" (the CLI keeps it in "
                "its config.toml after `perigee up`)");
  const auto parts = split_once(trim(*field), ' ');
  if (!parts || !(iequals(parts->first, "bearer") || iequals(parts->first, "flyv1")))
    return fail(Code::unauthenticated, "authorization: expected \"Bearer TOKEN\"");
  const std::string_view token = trim(parts->second);
  if (token.empty() || token.size() > kMaxTokenBytes)
    return fail(Code::unauthenticated, "authorization: the token is empty or too long");
  return std::string(token);
}

}  // namespace

Result<void> Tokens::check(const http::Request& request) const {
  TRY(const std::string token, bearer(request));
  const std::string hash = crypto::sha256_hex(token);
  bool known = false;
  for (const std::string& each : hashes_) known |= crypto::equal_constant_time(each, hash);
  if (!known) return fail(Code::unauthenticated, "this token is not known here");
  return {};
}

Guard Tokens::guard() const {
  return [this](const http::Request& request) { return check(request); };
}

Guard open_to_all() {
  return [](const http::Request&) { return Result<void>(); };
}

Guard uid_guard(std::vector<std::uint32_t> allowed) {
  return [allowed = std::move(allowed)](const http::Request& request) -> Result<void> {
    if (!request.peer_uid)
      return fail(Code::permission_denied, "this path is for a Unix socket's peers");
    if (std::ranges::count(allowed, *request.peer_uid) == 0)
      return fail(Code::permission_denied, "user id {} may not call this", *request.peer_uid);
    return {};
  };
}

}  // namespace perigee::api
