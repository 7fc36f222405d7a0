#include "router/pg_start.h"

#include <cstdint>

namespace perigee::router {
namespace {

constexpr std::uint32_t kRequestBytes = 8;
constexpr std::uint32_t kCancelBytes = 16;
constexpr std::uint32_t kCancelRequest = 80877102;
constexpr std::uint32_t kSslRequest = 80877103;
constexpr std::uint32_t kGssRequest = 80877104;
constexpr std::uint32_t kProtocol3 = 3;  // the upper half of a version
constexpr char kTlsHandshake = 0x16;

std::uint32_t number_at(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (const char c : bytes.substr(at, 4)) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

void append_field(std::string& out, char type, std::string_view text) {
  out += type;
  out += text;
  out += '\0';
}

}  // namespace

PgStart pg_start(std::string_view bytes) {
  if (bytes.starts_with(kTlsHandshake)) return PgStart::direct;
  if (bytes.size() < kPgStartBytes) return PgStart::more;
  const std::uint32_t size = number_at(bytes, 0);
  const std::uint32_t code = number_at(bytes, 4);
  if (code == kSslRequest && size == kRequestBytes) return PgStart::tls;
  if (code == kGssRequest && size == kRequestBytes) return PgStart::gss;
  if (code == kCancelRequest && size >= kCancelBytes) return PgStart::cancel;
  if (code >> 16 == kProtocol3 && size > kRequestBytes) return PgStart::plain;
  return PgStart::malformed;
}

std::string pg_refusal(std::string_view sentence) {
  std::string fields;
  append_field(fields, 'S', "FATAL");
  append_field(fields, 'V', "FATAL");
  append_field(fields, 'C', "28000");  // invalid_authorization_specification
  append_field(fields, 'M', sentence);
  fields += '\0';
  const auto size = static_cast<std::uint32_t>(fields.size() + 4);
  std::string out = "E";
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(size >> shift & 0xff);
  return out + fields;
}

}  // namespace perigee::router
