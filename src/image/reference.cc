// References and digests: Docker's grammar (distribution/reference) with its defaults.
#include <algorithm>

#include "base/text.h"
#include "image/image.h"
#include "image/limits.h"

namespace perigee::image {
namespace {

constexpr std::string_view kDefaultRegistry = "docker.io";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_alnum(char c) {
  return is_digit(c) || is_lower(c) || is_upper(c);
}
bool is_word(char c) {
  return is_alnum(c) || c == '_';
}
bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f');
}

// [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}
bool valid_tag(std::string_view tag) {
  return !tag.empty() && tag.size() <= 128 && is_word(tag.front()) &&
         std::ranges::all_of(tag, [](char c) { return is_word(c) || c == '.' || c == '-'; });
}

// Lower-case runs joined by one ".", one or two "_", or any number of "-".
bool valid_component(std::string_view part) {
  const auto letter = [](char c) { return is_digit(c) || is_lower(c); };
  if (part.empty() || !letter(part.front()) || !letter(part.back())) return false;
  for (std::size_t i = 0; i < part.size();) {
    if (letter(part[i])) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < part.size() && part[end] == part[i]) ++end;
    const std::size_t run = end - i;
    const bool fits =
        part[i] == '-' || (part[i] == '.' && run == 1) || (part[i] == '_' && run <= 2);
    if (!fits || !letter(part[end])) return false;
    i = end;
  }
  return true;
}

bool valid_port(std::string_view port) {
  const auto number = parse_uint(port, 65535);
  return number && *number > 0;
}

bool valid_label(std::string_view label) {
  return !label.empty() && is_alnum(label.front()) && is_alnum(label.back()) &&
         std::ranges::all_of(label, [](char c) { return is_alnum(c) || c == '-'; });
}

bool valid_registry(std::string_view registry) {
  if (registry.size() > 255) return false;
  if (registry.starts_with('[')) {
    const auto end = registry.find(']');
    if (end == std::string_view::npos || end < 3) return false;
    const std::string_view inside = registry.substr(1, end - 1);
    const std::string_view rest = registry.substr(end + 1);
    return std::ranges::all_of(inside,
                               [](char c) { return is_hex(c) || is_upper(c) || c == ':'; }) &&
           (rest.empty() || (rest.front() == ':' && valid_port(rest.substr(1))));
  }
  const auto with_port = split_once(registry, ':');
  if (with_port && !valid_port(with_port->second)) return false;
  const std::string_view host = with_port ? with_port->first : registry;
  return std::ranges::all_of(split(host, '.'), valid_label);
}

// Docker takes what is before the first slash for a registry if it could not be a repository.
bool looks_like_registry(std::string_view first) {
  return first == "localhost" || std::ranges::any_of(first, [](char c) {
           return c == '.' || c == ':' || c == '[' || is_upper(c);
         });
}

std::unexpected<Error> bad(std::string_view text, std::string_view why) {
  return fail(Code::invalid_argument, "image \"{}\": {}; expected [REGISTRY/]NAME[:TAG][@sha256:…]",
              text, why);
}

// Takes "@digest" and ":tag" off the end of `rest`.
Result<void> take_suffixes(std::string_view text, std::string_view& rest, Reference& reference) {
  if (const auto at = split_once(rest, '@')) {
    auto digest = parse_digest(at->second);
    if (!digest) return bad(text, "the part after @ is not a sha256 digest");
    reference.digest = *digest;
    rest = at->first;
  }
  const auto slash = rest.rfind('/');
  const auto colon = rest.rfind(':');
  if (colon == std::string_view::npos || (slash != std::string_view::npos && colon < slash)) {
    return {};
  }
  const std::string_view tag = rest.substr(colon + 1);
  if (!valid_tag(tag)) return bad(text, "the tag has characters that a tag may not have");
  reference.tag = std::string(tag);
  rest = rest.substr(0, colon);
  return {};
}

void take_registry(std::string_view& rest, Reference& reference) {
  const auto parts = split_once(rest, '/');
  if (parts && looks_like_registry(parts->first)) {
    reference.registry = std::string(parts->first);
    rest = parts->second;
  } else {
    reference.registry = std::string(kDefaultRegistry);
  }
  if (reference.registry == "index.docker.io") reference.registry = std::string(kDefaultRegistry);
}

}  // namespace

Result<std::string> parse_digest(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  const bool valid = text.starts_with(kPrefix) && text.size() == kPrefix.size() + 64 &&
                     std::ranges::all_of(text.substr(kPrefix.size()), is_hex);
  if (valid) return std::string(text);
  return fail(Code::invalid_argument, "\"{}\" is not a digest (sha256: and 64 hex digits)",
              text.substr(0, 100));
}

Result<Reference> parse_reference(std::string_view text) {
  if (text.empty()) return bad(text, "it is empty");
  if (text.size() > kMaxReferenceBytes) return bad(text.substr(0, 60), "it is too long");
  if (text.find("://") != std::string_view::npos) return bad(text, "leave out the scheme");
  Reference reference;
  std::string_view rest = text;
  TRY_VOID(take_suffixes(text, rest, reference));
  if (rest.size() == 64 && std::ranges::all_of(rest, is_hex)) {
    return bad(text, "64 hex digits are a local image id, not a name");
  }
  take_registry(rest, reference);
  if (!valid_registry(reference.registry)) return bad(text, "the registry's name is malformed");
  if (!std::ranges::all_of(split(rest, '/'), valid_component)) {
    return bad(text, "a name has only lower-case letters, digits and separators within");
  }
  const bool official = reference.registry == kDefaultRegistry && rest.find('/') == rest.npos;
  reference.repository = (official ? "library/" : "") + std::string(rest);
  if (reference.repository.size() > 255) {
    return bad(text, "the name is longer than 255 characters");
  }
  if (reference.tag.empty() && reference.digest.empty()) reference.tag = "latest";
  return reference;
}

std::string Reference::str() const {
  std::string text = registry + "/" + repository;
  if (!tag.empty()) text += ":" + tag;
  if (!digest.empty()) text += "@" + digest;
  return text;
}

}  // namespace perigee::image
