#include "mesh/prefix.h"

#include <arpa/inet.h>

#include "base/text.h"

namespace perigee::mesh {
namespace {

int bits_of(int family) {
  return family == AF_INET ? 32 : 128;
}

bool has_bits_behind(const Prefix& prefix) {
  for (int bit = prefix.length; bit < bits_of(prefix.family); ++bit) {
    const auto byte = prefix.bytes.at(static_cast<std::size_t>(bit / 8));
    if ((byte & (0x80U >> (bit % 8))) != 0) return true;
  }
  return false;
}

}  // namespace

Result<Prefix> Prefix::parse(std::string_view text) {
  const auto parts = split_once(text, '/');
  const std::string host(parts ? parts->first : text);
  Prefix prefix;
  prefix.family = host.find(':') == std::string::npos ? AF_INET : AF_INET6;
  const int bits = bits_of(prefix.family);
  const auto length = parts ? parse_uint(parts->second, static_cast<std::uint64_t>(bits))
                            : static_cast<std::uint64_t>(bits);
  if (inet_pton(prefix.family, host.c_str(), prefix.bytes.data()) != 1 || !length) {
    return fail(Code::invalid_argument, "'{}' is not a network (such as fd12:3456:789a::/48)",
                text);
  }
  prefix.length = static_cast<int>(*length);
  if (has_bits_behind(prefix)) {
    return fail(Code::invalid_argument, "'{}' is not a network: bits are set behind its length",
                text);
  }
  return prefix;
}

std::string Prefix::address() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(family, bytes.data(), text.data(), text.size());
  return text.data();
}

std::string Prefix::str() const {
  return fmt::format("{}/{}", address(), length);
}

std::string_view Prefix::raw() const {
  return {reinterpret_cast<const char*>(bytes.data()), family == AF_INET ? 4UZ : 16UZ};
}

}  // namespace perigee::mesh
