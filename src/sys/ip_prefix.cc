#include "sys/ip_prefix.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

#include "base/check.h"
#include "base/text.h"

namespace perigee::sys {
namespace {

constexpr int kBits4 = 32;
constexpr int kBits6 = 128;
constexpr int kMostSizeBits = 63;

std::string text_of(bool ipv6, const std::array<char, 16>& bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(ipv6 ? AF_INET6 : AF_INET, bytes.data(), text.data(), text.size());
  return text.data();
}

std::string_view bytes_of(const Address& address) {
  if (address.is_ipv6()) {
    const auto& raw = *reinterpret_cast<const sockaddr_in6*>(address.raw());
    return {reinterpret_cast<const char*>(&raw.sin6_addr), sizeof raw.sin6_addr};
  }
  const auto& raw = *reinterpret_cast<const sockaddr_in*>(address.raw());
  return {reinterpret_cast<const char*>(&raw.sin_addr), sizeof raw.sin_addr};
}

bool bit(std::string_view bytes, int at) {
  const auto index = static_cast<std::size_t>(at);
  return (static_cast<unsigned char>(bytes[index / 8]) >> (7 - index % 8) & 1U) != 0;
}

}  // namespace

Result<IpPrefix> IpPrefix::parse(std::string_view text) {
  const auto parts = split_once(text, '/');
  const std::string address(parts ? parts->first : text);
  IpPrefix out;
  const bool ipv4 = inet_pton(AF_INET, address.c_str(), out.bytes_.data()) == 1;
  out.ipv6_ = !ipv4 && inet_pton(AF_INET6, address.c_str(), out.bytes_.data()) == 1;
  const int bits = out.ipv6_ ? kBits6 : kBits4;
  const auto length = parts ? parse_uint(parts->second, static_cast<std::uint64_t>(bits))
                            : static_cast<std::uint64_t>(bits);
  if ((!ipv4 && !out.ipv6_) || !length) {
    return fail(Code::invalid_argument,
                "'{}' is no network (write 203.0.113.0/28 or 2001:db8::/64)", text);
  }
  out.length_ = static_cast<int>(*length);
  for (int i = out.length_; i < bits; ++i) {
    if (!bit(out.bytes(), i)) continue;
    return fail(Code::invalid_argument, "'{}' is an address inside a network, not its first", text);
  }
  return out;
}

std::string IpPrefix::first() const {
  return text_of(ipv6_, bytes_);
}

std::string_view IpPrefix::bytes() const {
  return {bytes_.data(), static_cast<std::size_t>((ipv6_ ? kBits6 : kBits4) / 8)};
}

bool IpPrefix::contains(const Address& address) const {
  if (address.is_unix() || address.is_ipv6() != ipv6_) return false;
  const std::string_view other = bytes_of(address);
  for (int i = 0; i < length_; ++i) {
    if (bit(bytes(), i) != bit(other, i)) return false;
  }
  return true;
}

std::uint64_t IpPrefix::size() const {
  const int bits = (ipv6_ ? kBits6 : kBits4) - length_;
  return std::uint64_t{1} << std::min(bits, kMostSizeBits);
}

std::string IpPrefix::at(std::uint64_t number) const {
  PERIGEE_CHECK(number < size());
  std::array<char, 16> out = bytes_;
  for (std::size_t i = bytes().size(); i-- > 0 && number > 0; number >>= 8) {
    out[i] = static_cast<char>(static_cast<unsigned char>(out[i]) | (number & 0xff));
  }
  return text_of(ipv6_, out);
}

std::string IpPrefix::str() const {
  return fmt::format("{}/{}", first(), length_);
}

}  // namespace perigee::sys
