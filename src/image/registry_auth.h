// How a registry wants to be shown who asks, and what docker's configuration knows of it. Pure
// functions; the registry client does the asking. Private to the image module.
// Sources: the distribution project's token specification; RFC 9110 section 11.6.1.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace perigee::image {

struct Challenge {
  enum class Kind { basic, bearer } kind = Kind::basic;
  std::string realm;
  std::string service;
  std::string scope;
  bool operator==(const Challenge&) const = default;
};

// The first that we can answer, of WWW-Authenticate values.
std::optional<Challenge> choose_challenge(const std::vector<std::string>& headers);

// Where the token for `challenge` is to be had.
std::string token_url(const Challenge& challenge, std::string_view repository);
Result<std::string> parse_token(std::string_view body);

// "user:password" in base64 for a registry, from the text of docker's config.json; empty: none.
// Credential helpers are not run.
Result<std::string> find_credentials(std::string_view config_json, std::string_view registry);

}  // namespace perigee::image
