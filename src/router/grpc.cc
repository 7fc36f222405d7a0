#include "router/grpc.h"

#include <array>

#include "base/text.h"
#include "http2/fields.h"
#include "router/limits.h"

namespace perigee::router::grpc {
namespace {

constexpr std::size_t kMaxDigits = 8;
constexpr Duration kLongest = std::chrono::hours(24 * 365);

constexpr std::array<std::pair<char, Duration>, 6> kUnits{
    {{'H', 3600s}, {'M', 60s}, {'S', 1s}, {'m', 1ms}, {'u', 1us}, {'n', Duration(1)}}};

// Status-Message: all but printable ASCII, and the percent sign, is percent-encoded.
std::string encode_message(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (c >= ' ' && c <= '~' && c != '%') {
      out.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out.push_back('%');
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  return out;
}

}  // namespace

std::optional<Duration> timeout(const http::Headers& request) {
  const std::string_view* text = request.find("grpc-timeout");
  if (text == nullptr || text->size() < 2 || text->size() > kMaxDigits + 1) return std::nullopt;
  const auto number = parse_uint(std::string_view(*text).substr(0, text->size() - 1), 99'999'999);
  if (!number) return std::nullopt;
  for (const auto& [letter, unit] : kUnits) {
    if (letter != text->back()) continue;
    const auto count = static_cast<std::int64_t>(*number);
    return count > kLongest / unit ? kLongest : count * unit;
  }
  return std::nullopt;
}

Status status_of(const Problem& problem) {
  if (problem.code == kDeadlineCode) return Status::deadline_exceeded;
  switch (problem.status) {
    case 400:
      return Status::internal;
    case 403:
      return Status::permission_denied;
    case 404:
    case 501:
      return Status::unimplemented;
    case 413:
    case 431:
      return Status::resource_exhausted;
    case 408:
    case 421:
    case 429:
    case 502:
    case 503:
    case 504:
      return Status::unavailable;
    default:
      return Status::unknown;
  }
}

Page refusal(const Problem& problem, std::string_view request_id) {
  Page page{.head = {.status = 200}, .body = {}};
  http::Headers& headers = page.head.headers;
  headers.add("content-type", "application/grpc");
  headers.add("grpc-status", std::to_string(static_cast<int>(status_of(problem))));
  headers.add("grpc-message", encode_message(problem.code + ": " + problem.reason));
  headers.add("perigee-request-id", request_id);
  headers.add("fly-request-id", request_id);
  return page;
}

Duration patience(const http::Headers& request, Duration usual) {
  return http2::is_grpc(request) ? kCallIdle : usual;
}

}  // namespace perigee::router::grpc
