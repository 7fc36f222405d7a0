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
constexpr std::size_t kPseudoFields = 5;  // and te
constexpr std::size_t kRoom = 1024;       // for most heads

bool crosses(std::string_view name) {
  return std::ranges::none_of(kConnectionFields,
                              [name](std::string_view each) { return iequals(each, name); });
}

void add_fields(http::Headers& to, const http::Headers& from) {
  for (const auto& [name, value] : from.fields()) {
    if (!iequals(name, "host") && crosses(name)) to.add_lower(name, trim(value));
  }
}

std::string pseudo(const http::Headers& fields, std::string_view name) {
  const std::string_view* value = fields.find(name);
  return value == nullptr ? std::string() : std::string(*value);
}

// The fields that are none of HTTP/2's own; what is left of Cookie's pieces is one field.
http::Headers regular_fields(const http::Headers& fields) {
  http::Headers headers;
  std::string cookie;
  for (const auto& [name, value] : fields.fields()) {
    if (name.starts_with(':') || name == "host" || !crosses(name)) continue;
    if (name == "cookie") {
      if (!value.empty()) cookie.append(cookie.empty() ? "" : "; ").append(value);
    } else {
      headers.add(name, value);
    }
  }
  if (!cookie.empty()) headers.add("cookie", cookie);
  return headers;
}

std::unexpected<http::Malformed> refuse(int status, std::string_view why) {
  return std::unexpected(http::Malformed{.status = status, .why = why});
}

// RFC 8441: as HTTP/1.1 has it, a GET that asks for another protocol.
http::Parsed<void> take_extended_connect(http::RequestHead& head, const http::Headers& fields) {
  if (head.method != "CONNECT") return {};
  const std::string protocol = pseudo(fields, ":protocol");
  if (protocol.empty()) return refuse(501, "CONNECT is not supported");
  if (protocol != "websocket") return refuse(501, "CONNECT to a protocol other than websocket");
  head.method = "GET";
  head.headers.add("connection", "Upgrade");
  head.headers.add("upgrade", protocol);
  return {};
}

http::Parsed<void> check_target(const http::RequestHead& head) {
  if (head.target.size() > http::kMaxTargetBytes) return refuse(414, "request target too long");
  const bool whole_server = head.target == "*" && head.method == "OPTIONS";
  if (!http::is_target(head.target) || (head.target.front() != '/' && !whole_server)) {
    return refuse(400, ":path is no path");
  }
  return {};
}

// Section 8.3.1: where both are there they say the same.
http::Parsed<std::string> host_of(const http::Headers& fields) {
  const std::string authority = pseudo(fields, ":authority");
  const std::string_view* host = fields.find("host");
  if (host != nullptr && !authority.empty() && !iequals(*host, authority)) {
    return refuse(400, "Host differs from :authority");
  }
  std::string chosen = authority.empty() && host != nullptr ? std::string(*host) : authority;
  if (!http::is_host(chosen)) return refuse(400, ":authority is no host");
  return chosen;
}

}  // namespace

http::Headers request_fields(const http::RequestHead& head) {
  http::Headers fields;
  fields.reserve(head.headers.fields().size() + kPseudoFields, kRoom);
  const std::string_view* host = head.headers.find("host");
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
  fields.reserve(head.headers.fields().size() + kPseudoFields, kRoom);
  fields.add(":status", std::to_string(head.status));
  add_fields(fields, head.headers);
  return fields;
}

http::Parsed<http::RequestHead> request_from(const http::Headers& fields) {
  http::RequestHead head{.method = pseudo(fields, ":method"),
                         .target = pseudo(fields, ":path"),
                         .major_version = 2,
                         .minor_version = 0};
  if (!http::is_token(head.method)) return refuse(400, "the method is no token");
  if (head.method.size() > http::kMaxMethodBytes) return refuse(501, "unknown method");
  if (auto taken = take_extended_connect(head, fields); !taken) {
    return std::unexpected(taken.error());
  }
  const std::string scheme = pseudo(fields, ":scheme");
  if (scheme != "http" && scheme != "https") {
    return refuse(400, ":scheme is neither http nor https");
  }
  if (auto checked = check_target(head); !checked) return std::unexpected(checked.error());
  auto host = host_of(fields);
  if (!host) return std::unexpected(host.error());
  if (!host->empty()) head.headers.add("host", *host);
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
    if (http::may_trail(name)) fields.add_lower(name, trim(value));
  }
  return fields;
}

int status_of(const http::Headers& fields) {
  const auto status = parse_uint(pseudo(fields, ":status"), kMaxStatus);
  return status && *status >= 100 ? static_cast<int>(*status) : 0;
}

bool is_grpc(const http::Headers& request) {
  constexpr std::string_view kType = "application/grpc";
  const std::string_view* type = request.find("content-type");
  if (type == nullptr || !iequals(type->substr(0, kType.size()), kType)) {
    return false;
  }
  const std::string_view rest = type->substr(kType.size());
  return rest.empty() || rest.front() == '+' || rest.front() == ';' || rest.front() == ' ';
}

std::optional<std::uint64_t> content_length(const http::Headers& headers) {
  const std::string_view* text = headers.find("content-length");
  if (text == nullptr) return std::nullopt;
  return parse_uint(*text, std::numeric_limits<std::int64_t>::max());
}

}  // namespace perigee::http2
