#include "http2/fields.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/text.h"
#include "http/trailers.h"

namespace perigee::http2 {
namespace {

constexpr std::array<std::string_view, 7> kConnectionFields{
    "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te", "expect"};
constexpr int kMaxStatus = 599;

bool crosses(std::string_view name) {
  return std::ranges::find(kConnectionFields, name) == kConnectionFields.end();
}

void add_fields(http::Headers& to, const http::Headers& from) {
  for (const auto& [name, value] : from.fields()) {
    const std::string lower = to_lower(name);
    if (lower != "host" && crosses(lower)) to.add(lower, trim(value));
  }
}

std::string pseudo(const http::Headers& fields, std::string_view name) {
  const std::string* value = fields.find(name);
  return value == nullptr ? std::string() : *value;
}

// The fields that are none of HTTP/2's own; what is left of Cookie's pieces is one field.
http::Headers regular_fields(const http::Headers& fields) {
  http::Headers headers;
  std::string cookie;
  for (const auto& [name, value] : fields.fields()) {
    if (name.starts_with(':') || name == "host" || !crosses(name)) continue;
    if (name == "cookie") {
      cookie += (cookie.empty() ? "" : "; ") + value;
    } else {
      headers.add(name, value);
    }
  }
  if (!cookie.empty()) headers.add("cookie", cookie);
  return headers;
}

bool is_target(std::string_view path) {
  const auto visible = [](char c) { return c > ' ' && c != 0x7f; };
  return (path.starts_with('/') || path == "*") && path.size() <= http::kMaxTargetBytes &&
         std::ranges::all_of(path, visible);
}

bool is_authority(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return c <= ' ' || c == '/' || c == 0x7f; });
}

}  // namespace

http::Headers request_fields(const http::RequestHead& head) {
  http::Headers fields;
  const std::string* host = head.headers.find("host");
  fields.add(":method", head.method);
  fields.add(":scheme", "http");
  fields.add(":authority", host == nullptr ? "" : *host);
  fields.add(":path", head.target);
  add_fields(fields, head.headers);
  if (http::takes_trailers(head.headers)) fields.add("te", "trailers");
  return fields;
}

http::Headers response_fields(const http::ResponseHead& head) {
  http::Headers fields;
  fields.add(":status", std::to_string(head.status));
  add_fields(fields, head.headers);
  return fields;
}

http::Parsed<http::RequestHead> request_from(const http::Headers& fields) {
  http::RequestHead head{.method = pseudo(fields, ":method"), .target = pseudo(fields, ":path")};
  if (!http::is_token(head.method) || head.method.size() > http::kMaxMethodBytes) {
    return std::unexpected(http::Malformed{.why = "the method is no token"});
  }
  if (!is_target(head.target)) {
    return std::unexpected(http::Malformed{.why = ":path is no path"});
  }
  const bool has_authority = !pseudo(fields, ":authority").empty();
  const std::string host = pseudo(fields, has_authority ? ":authority" : "host");
  if (!is_authority(host)) {
    return std::unexpected(http::Malformed{.why = ":authority is no host"});
  }
  if (!host.empty()) head.headers.add("host", host);
  for (const auto& [name, value] : regular_fields(fields).fields()) head.headers.add(name, value);
  if (http::takes_trailers(fields)) head.headers.add("te", "trailers");
  return head;
}

http::Parsed<http::ResponseHead> response_from(const http::Headers& fields) {
  http::ResponseHead head{.status = status_of(fields)};
  if (head.status == 0) return std::unexpected(http::Malformed{.why = "no valid :status"});
  head.headers = regular_fields(fields);
  return head;
}

http::Headers trailer_fields(const http::Headers& trailers) {
  http::Headers fields;
  for (const auto& [name, value] : trailers.fields()) {
    if (http::may_trail(name)) fields.add(to_lower(name), trim(value));
  }
  return fields;
}

int status_of(const http::Headers& fields) {
  const auto status = parse_uint(pseudo(fields, ":status"), kMaxStatus);
  return status && *status >= 100 ? static_cast<int>(*status) : 0;
}

std::optional<std::uint64_t> content_length(const http::Headers& headers) {
  const std::string* text = headers.find("content-length");
  if (text == nullptr) return std::nullopt;
  return parse_uint(*text, std::numeric_limits<std::int64_t>::max());
}

}  // namespace perigee::http2
