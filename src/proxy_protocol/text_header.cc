#include "proxy_protocol/text_header.h"

#include <algorithm>

#include "base/text.h"

namespace perigee::proxy_protocol {
namespace {

constexpr std::string_view kStart = "PROXY ";
constexpr std::string_view kEnd = "\r\n";
constexpr std::uint64_t kMaxPort = 65535;

std::unexpected<Error> malformed(std::string_view line) {
  return fail(Code::data_loss, "PROXY header of version 1: '{}'", line);
}

Result<sys::Address> address_of(std::string_view line, std::string_view host, std::string_view port,
                                bool ipv6) {
  const auto number = parse_uint(port, kMaxPort);
  const bool plain = number && std::to_string(*number) == port;
  if (!plain) return malformed(line);
  const auto address = sys::Address::ip(host, static_cast<std::uint16_t>(*number));
  if (!address || address->is_ipv6() != ipv6) return malformed(line);
  return *address;
}

Result<Header> header_of(std::string_view line) {
  const auto words = split(line, ' ');
  if (words.size() >= 2 && words[1] == "UNKNOWN") return Header{};
  const bool ipv6 = words.size() == 6 && words[1] == "TCP6";
  const bool ipv4 = words.size() == 6 && words[1] == "TCP4";
  if (!ipv4 && !ipv6) return malformed(line);
  Header header{.transport = Transport::tcp};
  TRY(header.source, address_of(line, words[2], words[4], ipv6));
  TRY(header.destination, address_of(line, words[3], words[5], ipv6));
  return header;
}

}  // namespace

Result<std::string> encode_text(const Header& header) {
  if (!header.source || !header.destination) return std::string("PROXY UNKNOWN\r\n");
  const bool alike = header.source->family() == header.destination->family();
  if (!alike || header.source->is_unix() || header.transport != Transport::tcp) {
    return fail(Code::invalid_argument, "PROXY header of version 1: {} and {} are not two of TCP",
                *header.source, *header.destination);
  }
  return fmt::format("PROXY {} {} {} {} {}\r\n", header.source->is_ipv6() ? "TCP6" : "TCP4",
                     header.source->host(), header.destination->host(), header.source->port(),
                     header.destination->port());
}

Result<std::optional<Decoded>> decode_text(std::string_view bytes) {
  const std::size_t common = std::min(bytes.size(), kStart.size());
  if (bytes.substr(0, common) != kStart.substr(0, common)) {
    return fail(Code::data_loss, "no PROXY header of version 1");
  }
  const auto end = bytes.substr(0, kMaxTextHeader).find(kEnd);
  if (end == std::string_view::npos) {
    if (bytes.size() < kMaxTextHeader) return std::nullopt;
    return fail(Code::data_loss, "PROXY header of version 1: longer than {} bytes", kMaxTextHeader);
  }
  TRY(Header header, header_of(bytes.substr(0, end)));
  return Decoded{.header = std::move(header), .size = end + kEnd.size()};
}

Result<std::optional<Decoded>> decode_any(std::string_view bytes) {
  if (bytes.starts_with(kStart[0])) return decode_text(bytes);
  return decode(bytes);
}

}  // namespace perigee::proxy_protocol
