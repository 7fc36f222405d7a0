#include "http/message.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "http/limits.h"

namespace perigee::http {
namespace {

constexpr std::string_view kUnreserved =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

// RFC 9110 section 15, and 499 as others write it into their logs.
constexpr std::array<std::pair<int, std::string_view>, 43> kReasons{{
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
}};

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// How large a buffer that is full should become: by what has come, not by what was announced. One
// byte more than is expected, so that the end shows in the same read.
std::size_t next_size(std::size_t size, std::optional<std::uint64_t> length) {
  constexpr std::size_t kFirst = 16 * 1024;
  const std::size_t next = std::max(kFirst, size * 2);
  return length && *length >= size ? std::min<std::size_t>(next, *length + 1) : next;
}

}  // namespace

std::string_view RequestHead::path() const {
  return std::string_view(target).substr(0, target.find('?'));
}

std::optional<std::string> RequestHead::query(std::string_view name) const {
  const auto mark = target.find('?');
  if (mark == std::string::npos) return std::nullopt;
  for (const std::string_view part : split(std::string_view(target).substr(mark + 1), '&')) {
    const auto pair = split_once(part, '=');
    if (percent_decode(pair ? pair->first : part) != name) continue;
    return pair ? percent_decode(pair->second) : std::string();
  }
  return std::nullopt;
}

async::Task<Result<std::string>> read_all(Body& body, std::size_t max) {
  const auto length = body.length();
  std::string out;
  std::size_t size = 0;
  for (;;) {
    if ((length && *length > max) || size > max) {
      co_return fail(Code::resource_exhausted, "a body of more than {} bytes", max);
    }
    if (size == out.size()) out.resize(next_size(size, length));
    CO_TRY(const std::size_t n, co_await body.read(std::span(out).subspan(size)));
    if (n == 0) break;
    size += n;
  }
  out.resize(size);
  co_return out;
}

std::string_view reason_phrase(int status) {
  const auto found =
      std::ranges::lower_bound(kReasons, status, {}, &decltype(kReasons)::value_type::first);
  return found != kReasons.end() && found->first == status ? found->second : std::string_view();
}

std::string percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_value(text[i + 2]) : -1;
    if (low < 0) {
      out.push_back(text[i]);
    } else {
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    }
  }
  return out;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (kUnreserved.find(c) != std::string_view::npos) {
      out.push_back(c);
      continue;
    }
    const auto byte = static_cast<std::uint8_t>(c);
    out.push_back('%');
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  return out;
}

}  // namespace perigee::http
