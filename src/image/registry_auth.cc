#include "image/registry_auth.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "json/json.h"

namespace perigee::image {
namespace {

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~' || c == ':' || c == '/';
    if (plain) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

// key="value" or key=value from the front of `text`, with the comma after it.
std::optional<std::pair<std::string, std::string>> take_parameter(std::string_view& text) {
  const auto equals = text.find('=');
  if (equals == text.npos) return std::nullopt;
  const std::string key = to_lower(trim(text.substr(0, equals)));
  text = trim(text.substr(equals + 1));
  std::string value;
  if (text.starts_with('"')) {
    std::size_t i = 1;
    for (; i < text.size() && text[i] != '"'; ++i) {
      if (text[i] == '\\' && i + 1 < text.size()) ++i;
      value += text[i];
    }
    text.remove_prefix(std::min(i + 1, text.size()));
  } else {
    value = std::string(trim(text.substr(0, text.find(','))));
  }
  const auto comma = text.find(',');
  text = comma == text.npos ? std::string_view() : trim(text.substr(comma + 1));
  return std::pair(key, value);
}

std::optional<Challenge> parse_challenge(std::string_view header) {
  const auto parts = split_once(header, ' ');
  const std::string_view scheme = parts ? parts->first : header;
  if (iequals(scheme, "basic")) return Challenge{};
  if (!iequals(scheme, "bearer") || !parts) return std::nullopt;
  Challenge challenge{.kind = Challenge::Kind::bearer, .realm = {}, .service = {}, .scope = {}};
  std::string_view rest = trim(parts->second);
  while (const auto parameter = take_parameter(rest)) {
    if (parameter->first == "realm") challenge.realm = parameter->second;
    if (parameter->first == "service") challenge.service = parameter->second;
    if (parameter->first == "scope") challenge.scope = parameter->second;
  }
  if (challenge.realm.empty()) return std::nullopt;
  return challenge;
}

// Docker Hub's entry has a name of its own; others may be written with a scheme or a path.
bool is_entry_of(std::string_view key, std::string_view registry) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (key.starts_with(scheme)) key.remove_prefix(scheme.size());
  }
  key = key.substr(0, key.find('/'));
  return key == registry || (registry == "docker.io" && key == "index.docker.io");
}

}  // namespace

std::optional<Challenge> choose_challenge(const std::vector<std::string>& headers) {
  for (const std::string& header : headers) {
    if (auto challenge = parse_challenge(header)) return challenge;
  }
  return std::nullopt;
}

std::string token_url(const Challenge& challenge, std::string_view repository) {
  const std::string scope =
      challenge.scope.empty() ? fmt::format("repository:{}:pull", repository) : challenge.scope;
  std::string url = challenge.realm;
  url += url.find('?') == url.npos ? '?' : '&';
  if (!challenge.service.empty()) url += "service=" + percent_encoded(challenge.service) + "&";
  return url + "scope=" + percent_encoded(scope);
}

Result<std::string> parse_token(std::string_view body) {
  TRY_AS(const json::Value doc, json::parse(body), "the token service's answer");
  for (const char* key : {"token", "access_token"}) {
    TRY_AS(const std::string token, doc.optional_string(key), "the token service's answer");
    const bool clean = std::ranges::all_of(token, [](char c) { return c > ' ' && c <= '~'; });
    if (!clean) return fail(Code::data_loss, "the token service's token is malformed");
    if (!token.empty()) return token;
  }
  return fail(Code::data_loss, "the token service's answer has no token");
}

Result<std::string> find_credentials(std::string_view config_json, std::string_view registry) {
  TRY(const json::Value doc, json::parse(config_json));
  const json::Value* auths = doc.find("auths");
  if (auths == nullptr) return std::string();
  for (const auto& [key, entry] : auths->members()) {
    if (!is_entry_of(key, registry)) continue;
    TRY(const std::string auth, entry.optional_string("auth"));
    const bool clean = std::ranges::all_of(auth, [](char c) { return c > ' ' && c <= '~'; });
    if (!clean) return fail(Code::data_loss, "auths, \"{}\": auth is not base64", key);
    if (!auth.empty()) return auth;
  }
  return std::string();
}

}  // namespace perigee::image
