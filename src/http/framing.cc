// How a body is framed (RFC 9112 section 6) and whether the connection goes on (section 9.3).
#include <limits>

#include "base/text.h"
#include "http/codec.h"

namespace perigee::http {
namespace {

std::unexpected<Malformed> refuse(int status, std::string_view why) {
  return std::unexpected(Malformed{.status = status, .why = why});
}

// Every coding of every Transfer-Encoding field, in order.
std::vector<std::string_view> codings(const Headers& headers) {
  std::vector<std::string_view> all;
  for (const auto& [name, value] : headers.fields()) {
    if (!iequals(name, "transfer-encoding")) continue;
    for (const std::string_view part : split(value, ',')) all.push_back(trim(part));
  }
  return all;
}

// Present and right: chunked, once, alone. `status` is what another coding deserves.
Parsed<Framing> chunked_framing(const Headers& headers, int minor_version, int bad, int unknown) {
  if (minor_version == 0) return refuse(bad, "Transfer-Encoding in HTTP/1.0");
  if (headers.count("content-length") != 0) {
    return refuse(bad, "Transfer-Encoding together with Content-Length");
  }
  const auto all = codings(headers);
  if (all.size() != 1) {
    const bool ends_chunked = !all.empty() && iequals(all.back(), "chunked");
    return ends_chunked && !iequals(all.front(), "chunked") && !all.front().empty()
               ? refuse(unknown, "unknown transfer coding")
               : refuse(bad, "invalid Transfer-Encoding");
  }
  if (!iequals(all.front(), "chunked")) return refuse(bad, "Transfer-Encoding is not chunked");
  return Framing{.kind = Framing::Kind::chunked};
}

// Exactly one field of digits alone: not "5, 5", "+5", "0x5".
Parsed<std::optional<std::uint64_t>> content_length(const Headers& headers, int bad) {
  const std::size_t count = headers.count("content-length");
  if (count == 0) return std::nullopt;
  if (count > 1) return refuse(bad, "more than one Content-Length");
  const auto value =
      parse_uint(*headers.find("content-length"),
                 static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
  if (!value) return refuse(bad, "invalid Content-Length");
  return *value;
}

}  // namespace

Parsed<Framing> request_framing(const RequestHead& head) {
  if (head.headers.count("transfer-encoding") != 0) {
    return chunked_framing(head.headers, head.minor_version, 400, 501);
  }
  auto length = content_length(head.headers, 400);
  if (!length) return std::unexpected(length.error());
  if (!*length || **length == 0) return Framing{};
  return Framing{.kind = Framing::Kind::length, .length = **length};
}

Parsed<Framing> response_framing(const ResponseHead& head, std::string_view request_method) {
  const bool chunked = head.headers.count("transfer-encoding") != 0;
  Framing framing{.kind = Framing::Kind::until_close};
  if (chunked) {
    auto parsed = chunked_framing(head.headers, head.minor_version, 502, 502);
    if (!parsed) return parsed;
    framing = *parsed;
  } else {
    auto length = content_length(head.headers, 502);
    if (!length) return std::unexpected(length.error());
    if (*length) framing = {.kind = Framing::Kind::length, .length = **length};
  }
  // Section 6.3, 1: no body whatever the fields say.
  const bool bodiless =
      request_method == "HEAD" || head.status < 200 || head.status == 204 || head.status == 304;
  if (bodiless || framing == Framing{.kind = Framing::Kind::length}) return Framing{};
  return framing;
}

bool has_token(const Headers& headers, std::string_view name, std::string_view token) {
  for (const auto& [field, value] : headers.fields()) {
    if (!iequals(field, name)) continue;
    const auto is_it = [token](std::string_view part) { return iequals(trim(part), token); };
    if (any_part(value, ',', is_it)) return true;
  }
  return false;
}

bool keeps_alive(int minor_version, const Headers& headers) {
  if (has_token(headers, "connection", "close")) return false;
  return minor_version >= 1 || has_token(headers, "connection", "keep-alive");
}

}  // namespace perigee::http
