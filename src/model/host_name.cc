#include "model/host_name.h"

#include <algorithm>

#include "base/text.h"

namespace perigee::model {
namespace {

constexpr std::size_t kMaxHostName = 253;  // RFC 1035, 2.3.4
constexpr std::size_t kMaxLabel = 63;
constexpr std::string_view kWildcard = "*.";

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// Letters, digits, and hyphens that are neither first nor last (RFC 1123, 2.1).
bool is_label(std::string_view label) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789-";
  return !label.empty() && label.size() <= kMaxLabel && !label.starts_with('-') &&
         !label.ends_with('-') && label.find_first_not_of(kAllowed) == std::string_view::npos;
}

bool is_number(std::string_view label) {
  return label.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

bool is_wildcard(std::string_view host) {
  return host.starts_with(kWildcard);
}

Result<std::string> parse_host_name(std::string_view text) {
  if (!is_ascii(text)) {
    return fail(Code::invalid_argument,
                "'{}' has letters that DNS has not; write its A-labels (xn--…), as your registrar "
                "shows them",
                text);
  }
  std::string host = to_lower(text);
  if (host.ends_with('.')) host.pop_back();
  std::string_view rest = host;
  if (is_wildcard(rest)) rest.remove_prefix(kWildcard.size());
  const auto labels = split(rest, '.');
  const bool good = host.size() <= kMaxHostName && labels.size() >= 2 &&
                    std::ranges::all_of(labels, is_label) && !is_number(labels.back());
  if (good) return host;
  return fail(Code::invalid_argument,
              "'{}' is not a host name such as www.example.com or *.example.com", text);
}

}  // namespace perigee::model
