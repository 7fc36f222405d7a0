#include "proxy_protocol/proxy_header.h"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace perigee::proxy_protocol {
namespace {

constexpr std::size_t kFixed = 16;  // signature, version and command, family, length
constexpr std::size_t kTlvHead = 3;
constexpr unsigned kVersion = 2;
enum class Family : std::uint8_t { unspecified = 0, ipv4 = 1, ipv6 = 2, unix_socket = 3 };

unsigned byte_at(std::string_view bytes, std::size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}

std::size_t number_at(std::string_view bytes, std::size_t at) {
  return byte_at(bytes, at) << 8 | byte_at(bytes, at + 1);
}

void append_number(std::string& out, std::size_t number) {
  out.push_back(static_cast<char>(number >> 8 & 0xff));
  out.push_back(static_cast<char>(number & 0xff));
}

std::size_t address_size(Family family) {
  switch (family) {
    case Family::unspecified:
      return 0;
    case Family::ipv4:
      return sizeof(in_addr);
    case Family::ipv6:
      return sizeof(in6_addr);
    case Family::unix_socket:
      return 108;
  }
  return 0;
}

// Of both addresses and, but for Unix sockets, their ports.
std::size_t addresses_size(Family family) {
  const bool ports = family == Family::ipv4 || family == Family::ipv6;
  return 2 * (address_size(family) + (ports ? sizeof(in_port_t) : 0));
}

sys::Address make_address(Family family, std::string_view address, std::string_view port) {
  if (family == Family::ipv4) {
    sockaddr_in raw{};
    raw.sin_family = AF_INET;
    std::memcpy(&raw.sin_addr, address.data(), sizeof raw.sin_addr);
    std::memcpy(&raw.sin_port, port.data(), sizeof raw.sin_port);
    return sys::Address::from_raw(reinterpret_cast<const sockaddr*>(&raw), sizeof raw);
  }
  sockaddr_in6 raw{};
  raw.sin6_family = AF_INET6;
  std::memcpy(&raw.sin6_addr, address.data(), sizeof raw.sin6_addr);
  std::memcpy(&raw.sin6_port, port.data(), sizeof raw.sin6_port);
  return sys::Address::from_raw(reinterpret_cast<const sockaddr*>(&raw), sizeof raw);
}

// The address's bytes alone, in the order of the network.
std::string_view address_bytes(const sys::Address& address) {
  const sockaddr* raw = address.raw();
  if (!address.is_ipv6()) {
    const auto& v4 = *reinterpret_cast<const sockaddr_in*>(raw);
    return {reinterpret_cast<const char*>(&v4.sin_addr), sizeof v4.sin_addr};
  }
  const auto& v6 = *reinterpret_cast<const sockaddr_in6*>(raw);
  return {reinterpret_cast<const char*>(&v6.sin6_addr), sizeof v6.sin6_addr};
}

Result<Family> family_of(const Header& header) {
  if (!header.source || !header.destination) return Family::unspecified;
  const bool alike = header.source->family() == header.destination->family();
  if (!alike || header.source->is_unix()) {
    return fail(Code::invalid_argument, "PROXY header: {} and {} are not two addresses of IP alike",
                *header.source, *header.destination);
  }
  return header.source->is_ipv6() ? Family::ipv6 : Family::ipv4;
}

Result<std::vector<Tlv>> decode_tlvs(std::string_view bytes) {
  std::vector<Tlv> all;
  while (!bytes.empty()) {
    const std::size_t size = bytes.size() < kTlvHead ? bytes.size() : number_at(bytes, 1);
    if (bytes.size() < kTlvHead || bytes.size() - kTlvHead < size) {
      return fail(Code::data_loss, "PROXY header: a TLV is longer than the header");
    }
    if (all.size() == kMaxTlvs) {
      return fail(Code::data_loss, "PROXY header: more than {} TLVs", kMaxTlvs);
    }
    all.push_back({.type = static_cast<std::uint8_t>(byte_at(bytes, 0)),
                   .value = std::string(bytes.substr(kTlvHead, size))});
    bytes.remove_prefix(kTlvHead + size);
  }
  return all;
}

// What follows the fixed part.
Result<Header> decode_rest(Header header, Family family, std::string_view rest) {
  const std::size_t addresses = addresses_size(family);
  if (rest.size() < addresses) {
    return fail(Code::data_loss, "PROXY header: its addresses are cut off");
  }
  if (family == Family::ipv4 || family == Family::ipv6) {
    const std::size_t size = address_size(family);
    header.source = make_address(family, rest.substr(0, size), rest.substr(2 * size, 2));
    header.destination =
        make_address(family, rest.substr(size, size), rest.substr(2 * size + 2, 2));
  }
  TRY(header.tlvs, decode_tlvs(rest.substr(addresses)));
  return header;
}

}  // namespace

const std::string* Header::find(std::uint8_t type) const {
  const auto found = std::ranges::find(tlvs, type, &Tlv::type);
  return found == tlvs.end() ? nullptr : &found->value;
}

Result<std::string> encode(const Header& header) {
  TRY(const Family family, family_of(header));
  std::string rest;
  if (family != Family::unspecified) {
    rest.append(address_bytes(*header.source)).append(address_bytes(*header.destination));
    append_number(rest, header.source->port());
    append_number(rest, header.destination->port());
  }
  for (const Tlv& tlv : header.tlvs) {
    rest.push_back(static_cast<char>(tlv.type));
    append_number(rest, tlv.value.size());
    rest += tlv.value;
  }
  if (header.tlvs.size() > kMaxTlvs || kFixed + rest.size() > kMaxHeader) {
    return fail(Code::invalid_argument, "PROXY header: longer than {} bytes or {} TLVs", kMaxHeader,
                kMaxTlvs);
  }
  std::string out(kSignature);
  out.push_back(static_cast<char>(kVersion << 4 | static_cast<unsigned>(header.command)));
  out.push_back(static_cast<char>(static_cast<unsigned>(family) << 4 |
                                  static_cast<unsigned>(header.transport)));
  append_number(out, rest.size());
  return out + rest;
}

Result<std::optional<Decoded>> decode(std::string_view bytes) {
  const std::size_t common = std::min(bytes.size(), kSignature.size());
  if (bytes.substr(0, common) != kSignature.substr(0, common)) {
    return fail(Code::data_loss, "no PROXY header of version 2");
  }
  if (bytes.size() < kFixed) return std::nullopt;
  const unsigned version = byte_at(bytes, 12) >> 4;
  const unsigned command = byte_at(bytes, 12) & 0xf;
  const unsigned family = byte_at(bytes, 13) >> 4;
  const unsigned transport = byte_at(bytes, 13) & 0xf;
  if (version != kVersion || command > 1 || family > 3 || transport > 2) {
    return fail(Code::data_loss, "PROXY header: version {}, command {}, family {}, transport {}",
                version, command, family, transport);
  }
  const std::size_t size = kFixed + number_at(bytes, 14);
  if (size > kMaxHeader) return fail(Code::data_loss, "PROXY header: of {} bytes", size);
  if (bytes.size() < size) return std::nullopt;
  const Header fixed{.command = static_cast<Command>(command),
                     .transport = static_cast<Transport>(transport)};
  TRY(Header header,
      decode_rest(fixed, static_cast<Family>(family), bytes.substr(kFixed, size - kFixed)));
  return Decoded{.header = std::move(header), .size = size};
}

}  // namespace perigee::proxy_protocol
