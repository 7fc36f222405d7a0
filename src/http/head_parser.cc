// Heads: finding their end, parsing them.
#include <algorithm>

#include "base/text.h"
#include "http/codec.h"
#include "http/codec_text.h"

namespace perigee::http {
namespace {

std::unexpected<Malformed> refuse(int status, std::string_view why) {
  return std::unexpected(Malformed{.status = status, .why = why});
}

// The next line without its CRLF; the scanner has seen that every line feed ends one.
std::string_view take_line(std::string_view& text) {
  const auto end = text.find("\r\n");
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);
  return line;
}

std::string_view trim_blanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// RFC 9112 section 5. No blank before the colon (5.1), no folded lines (5.2).
Parsed<void> parse_fields(std::string_view text, Headers& headers) {
  std::size_t count = 0;
  for (;;) {
    const std::string_view line = take_line(text);
    if (line.empty()) {
      if (!text.empty()) return refuse(400, "bytes after the head's empty line");
      return {};
    }
    if (++count > kMaxHeaderFields) return refuse(431, "too many header fields");
    if (line.front() == ' ' || line.front() == '\t') return refuse(400, "folded header line");
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return refuse(400, "header line without a colon");
    const std::string_view name = line.substr(0, colon);
    if (!is_token(name)) return refuse(400, "invalid character in a header name");
    const std::string_view value = trim_blanks(line.substr(colon + 1));
    if (!is_field_value(value)) return refuse(400, "control character in a header value");
    headers.add(name, value);
  }
}

// "HTTP/1.1" to 1, "HTTP/1.0" to 0. A higher minor version is answered as 1.1 (RFC 9110, 2.5).
Parsed<int> parse_version(std::string_view text) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text.size() != 8 || !text.starts_with("HTTP/") || !digit(text[5]) || text[6] != '.' ||
      !digit(text[7])) {
    return refuse(400, "invalid HTTP version");
  }
  if (text[5] != '1') return refuse(505, "HTTP version other than 1.x");
  return text[7] == '0' ? 0 : 1;
}

// RFC 9112 section 3.2: exactly one Host in HTTP/1.1, at most one in 1.0.
Parsed<void> check_host(const RequestHead& head) {
  const std::size_t count = head.headers.count("host");
  if (count > 1) return refuse(400, "more than one Host");
  if (count == 0) {
    if (head.minor_version >= 1) return refuse(400, "no Host");
    return {};
  }
  if (!is_host(*head.headers.find("host"))) return refuse(400, "invalid Host");
  return {};
}

// "http://host/path" to "/path", Host from the target.
Parsed<void> from_absolute_form(RequestHead& head) {
  const std::string_view target = head.target;
  const auto scheme_end = target.find("://");
  if (scheme_end == std::string_view::npos) return refuse(400, "invalid request target");
  const std::string_view scheme = target.substr(0, scheme_end);
  if (!iequals(scheme, "http") && !iequals(scheme, "https")) {
    return refuse(400, "request target with another scheme than http");
  }
  const std::string_view rest = target.substr(scheme_end + 3);
  const auto authority_end = std::min(rest.find_first_of("/?"), rest.size());
  const std::string_view authority = rest.substr(0, authority_end);
  if (authority.empty() || !is_host(authority)) return refuse(400, "invalid request target");
  std::string path(rest.substr(authority_end));
  if (path.empty() && head.method == "OPTIONS") path = "*";  // section 3.2.4
  if (path.empty() || path.front() == '?') path.insert(0, "/");
  head.headers.set("Host", authority);
  head.target = std::move(path);
  return {};
}

Parsed<void> check_target(RequestHead& head) {
  if (head.target.front() == '/') return {};
  if (head.target == "*" && head.method == "OPTIONS") return {};
  return from_absolute_form(head);
}

// method SP target SP version, each space exactly one (RFC 9112 section 3).
Parsed<void> parse_request_line(std::string_view line, RequestHead& head) {
  const auto first = line.find(' ');
  if (first == std::string_view::npos) return refuse(400, "invalid request line");
  const std::string_view method = line.substr(0, first);
  const std::string_view after_method = line.substr(first + 1);
  const auto second = after_method.find(' ');
  if (second == std::string_view::npos) return refuse(400, "invalid request line");
  const std::string_view target = after_method.substr(0, second);
  if (!is_token(method)) return refuse(400, "invalid method");
  if (method.size() > kMaxMethodBytes) return refuse(501, "unknown method");
  if (target.size() > kMaxTargetBytes) return refuse(414, "request target too long");
  auto version = parse_version(after_method.substr(second + 1));
  if (!version) return std::unexpected(version.error());
  if (!is_target(target)) {
    return refuse(400, "invalid character in the request target");
  }
  if (method == "CONNECT") return refuse(501, "CONNECT is not supported");
  head.method = method;
  head.target = target;
  head.minor_version = *version;
  return {};
}

// version SP 3DIGIT SP [reason] (RFC 9112 section 4). The last space may be missing.
Parsed<void> parse_status_line(std::string_view line, ResponseHead& head) {
  if (line.size() < 12 || line[8] != ' ' || (line.size() > 12 && line[12] != ' ')) {
    return refuse(502, "invalid status line");
  }
  auto version = parse_version(line.substr(0, 8));
  if (!version) return std::unexpected(version.error());
  const auto status = parse_uint(line.substr(9, 3), 599);
  if (!status || *status < 100) return refuse(502, "invalid status code");
  if (line.size() > 13 && !is_field_value(line.substr(13))) {
    return refuse(502, "control character in the reason phrase");
  }
  head.minor_version = *version;
  head.status = static_cast<int>(*status);
  return {};
}

}  // namespace

bool is_token(std::string_view text) {
  return !text.empty() && all_of_class(text, kTokenChar);
}

bool is_field_value(std::string_view text) {
  return all_field_chars(text);
}

bool is_host(std::string_view text) {
  return all_of_class(text, kHostChar);
}

bool is_target(std::string_view text) {
  return !text.empty() && all_of_class(text, kTargetChar);
}

Parsed<std::optional<std::size_t>> HeadScanner::scan(std::string_view buffer) {
  for (;;) {
    const auto feed = buffer.find('\n', scanned_);
    if (feed == std::string_view::npos) {
      scanned_ = buffer.size();
      if (buffer.size() > kMaxHeadBytes) return refuse(431, "head too large");
      return std::nullopt;
    }
    if (feed == line_ || buffer[feed - 1] != '\r') return refuse(400, "bare line feed");
    if (feed > kMaxHeadBytes) return refuse(431, "head too large");
    const bool empty = feed == line_ + 1;
    line_ = scanned_ = feed + 1;
    if (empty) return feed + 1;
  }
}

Parsed<RequestHead> parse_request_head(std::string_view text) {
  RequestHead head;
  const std::string_view line = take_line(text);
  if (auto parsed = parse_request_line(line, head); !parsed) {
    return std::unexpected(parsed.error());
  }
  if (auto parsed = parse_fields(text, head.headers); !parsed) {
    return std::unexpected(parsed.error());
  }
  if (auto checked = check_host(head); !checked) return std::unexpected(checked.error());
  if (auto checked = check_target(head); !checked) return std::unexpected(checked.error());
  return head;
}

Parsed<ResponseHead> parse_response_head(std::string_view text) {
  ResponseHead head;
  const std::string_view line = take_line(text);
  auto parsed = parse_status_line(line, head);
  if (parsed) parsed = parse_fields(text, head.headers);
  if (!parsed) return refuse(502, parsed.error().why);
  return head;
}

}  // namespace perigee::http
