#include "router/compression.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/text.h"
#include "http/codec.h"
#include "http2/fields.h"
#include "router/limits.h"

namespace perigee::router {
namespace {

constexpr std::array<std::string_view, 11> kTypes{"application/json",
                                                  "application/javascript",
                                                  "application/x-javascript",
                                                  "application/xml",
                                                  "application/wasm",
                                                  "application/manifest+json",
                                                  "application/x-ndjson",
                                                  "application/vnd.ms-fontobject",
                                                  "font/ttf",
                                                  "font/otf",
                                                  "image/svg+xml"};
constexpr std::array<std::string_view, 6> kUntouchable{
    "content-encoding", "content-range", "content-md5", "content-digest", "digest", "repr-digest"};

bool is_type_that_shrinks(const http::Headers& response) {
  const std::string_view* field = response.find("content-type");
  if (field == nullptr) return false;
  const std::string type = to_lower(trim(std::string_view(*field).substr(0, field->find(';'))));
  if (type == "text/event-stream") return false;
  return type.starts_with("text/") || type.ends_with("+json") || type.ends_with("+xml") ||
         std::ranges::count(kTypes, type) > 0;
}

// "q=0.5" as thousandths (RFC 9110 section 12.4.2); 1000 without one, 0 for what is malformed.
int quality(std::string_view parameters) {
  for (const std::string_view each : split(parameters, ';')) {
    const auto pair = split_once(trim(each), '=');
    if (!pair || !iequals(trim(pair->first), "q")) continue;
    const std::string_view text = trim(pair->second);
    if (text == "1" || (text.starts_with("1.") && text.find_first_not_of("0", 2) == text.npos)) {
      return 1000;
    }
    if (!text.starts_with("0") || text.size() > 5 || (text.size() > 1 && text[1] != '.')) return 0;
    std::string digits(text.size() > 2 ? text.substr(2) : std::string_view());
    digits.resize(3, '0');
    return static_cast<int>(parse_uint(digits, 999).value_or(0));
  }
  return 1000;
}

struct Preferences {
  std::optional<int> gzip{};
  std::optional<int> identity{};
  std::optional<int> other{};  // "*"
};

Preferences preferences(const http::Headers& request) {
  Preferences out;
  for (const auto& [field, value] : request.fields()) {
    if (!iequals(field, "accept-encoding")) continue;
    for (const std::string_view each : split(value, ',')) {
      const std::size_t end = std::min(each.find(';'), each.size());
      const std::string_view coding = trim(each.substr(0, end));
      const int q = quality(end == each.size() ? std::string_view() : each.substr(end + 1));
      if (iequals(coding, "gzip") || iequals(coding, "x-gzip")) out.gzip = q;
      if (iequals(coding, "identity")) out.identity = q;
      if (coding == "*") out.other = q;
    }
  }
  return out;
}

}  // namespace

bool takes_gzip(const http::Headers& request) {
  const Preferences wanted = preferences(request);
  const int gzip = wanted.gzip.value_or(wanted.other.value_or(0));
  return gzip > 0 && gzip >= wanted.identity.value_or(0);
}

bool is_compressible(const http::RequestHead& request, const http::ResponseHead& response,
                     std::optional<std::uint64_t> length) {
  const int status = response.status;
  if (request.method == "HEAD" || status < 200 || status == 204 || status == 206 || status == 304) {
    return false;
  }
  const http::Headers& headers = response.headers;
  const auto has = [&](std::string_view name) { return headers.find(name) != nullptr; };
  if (std::ranges::any_of(kUntouchable, has)) return false;
  if (http::has_token(headers, "cache-control", "no-transform") ||
      http::has_token(request.headers, "cache-control", "no-transform")) {
    return false;
  }
  if (http2::is_grpc(request.headers)) return false;
  return length.value_or(kMinCompressed) >= kMinCompressed && is_type_that_shrinks(headers);
}

void vary_by_encoding(http::Headers& response) {
  if (http::has_token(response, "vary", "accept-encoding") ||
      http::has_token(response, "vary", "*")) {
    return;
  }
  response.add("Vary", "Accept-Encoding");
}

void mark_as_gzip(http::Headers& response) {
  response.set("Content-Encoding", "gzip");
  response.remove("content-length");
  response.remove("accept-ranges");
  const std::string_view* tag = response.find("etag");
  if (tag != nullptr && !tag->starts_with("W/")) response.set("ETag", fmt::format("W/{}", *tag));
}

}  // namespace perigee::router
