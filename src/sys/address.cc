#include "sys/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "base/text.h"

namespace perigee::sys {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";

}  // namespace

Result<Address> Address::parse(std::string_view text) {
  if (text.starts_with(kUnixPrefix)) return unix_path(text.substr(kUnixPrefix.size()));
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return fail(Code::invalid_argument,
                "'{}' is not an address (write 127.0.0.1:8080, [::1]:8080 or unix:/path)", text);
  }
  const auto port = parse_uint(text.substr(colon + 1), 65535);
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (!port)
    return fail(Code::invalid_argument, "'{}': the port is not a number up to 65535", text);
  return ip(host, static_cast<std::uint16_t>(*port));
}

Result<Address> Address::unix_path(std::string_view path) {
  sockaddr_un raw{};
  raw.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof raw.sun_path) {
    return fail(Code::invalid_argument,
                "socket path '{}' is longer than {} bytes (choose a shorter PERIGEE_ROOT)", path,
                sizeof raw.sun_path - 1);
  }
  std::ranges::copy(path, raw.sun_path);
  return from_raw(reinterpret_cast<const sockaddr*>(&raw),
                  static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1));
}

Result<Address> Address::ip(std::string_view host, std::uint16_t port) {
  const std::string text(host);
  sockaddr_in v4{};
  if (inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    return from_raw(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
  }
  sockaddr_in6 v6{};
  if (inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    return from_raw(reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
  }
  return fail(Code::invalid_argument, "'{}' is not an IP address", host);
}

Address Address::from_raw(const sockaddr* raw, socklen_t size) {
  Address address;
  if (size >= sizeof raw->sa_family && raw->sa_family == AF_UNIX) {
    sockaddr_un path{};
    address.size_ = std::min<socklen_t>(size, sizeof path);
    std::memcpy(&path, raw, address.size_);
    address.path_ = std::make_shared<const sockaddr_un>(path);
  } else {
    address.size_ = std::min<socklen_t>(size, sizeof address.ip_);
    std::memcpy(&address.ip_, raw, address.size_);
  }
  return address;
}

// What the connection ends at; not IPv6's flow label, nor its scope, which str() does not show.
std::string_view Address::ip_bytes() const {
  const auto bytes = [](const auto& address) {
    return std::string_view(reinterpret_cast<const char*>(&address), sizeof address);
  };
  if (family() == AF_INET) return bytes(ip_.v4.sin_addr);
  if (family() == AF_INET6) return bytes(ip_.v6.sin6_addr);
  return {};
}

bool Address::operator==(const Address& other) const {
  if (family() != other.family() || port() != other.port()) return false;
  const std::string_view ip = ip_bytes();
  return ip.empty() ? host() == other.host() : ip == other.ip_bytes();
}

std::size_t Address::hash() const {
  const std::string_view ip = ip_bytes();
  const std::size_t place =
      ip.empty() ? std::hash<std::string>()(host()) : std::hash<std::string_view>()(ip);
  return place * 65599 + port();
}

bool Address::is_loopback() const {
  if (family() == AF_INET) return (ntohl(ip_.v4.sin_addr.s_addr) >> 24) == 127;
  if (family() == AF_INET6) return IN6_IS_ADDR_LOOPBACK(&ip_.v6.sin6_addr);
  return is_unix();
}

std::uint16_t Address::port() const {
  if (family() == AF_INET) return ntohs(ip_.v4.sin_port);
  if (family() == AF_INET6) return ntohs(ip_.v6.sin6_port);
  return 0;
}

std::string Address::host() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (family() == AF_INET) {
    inet_ntop(AF_INET, &ip_.v4.sin_addr, text.data(), text.size());
  } else if (family() == AF_INET6) {
    inet_ntop(AF_INET6, &ip_.v6.sin6_addr, text.data(), text.size());
  } else if (is_unix() && size_ > offsetof(sockaddr_un, sun_path)) {
    const char* path = path_->sun_path;
    return std::string(path, strnlen(path, size_ - offsetof(sockaddr_un, sun_path)));
  }
  return text.data();
}

std::string Address::str() const {
  if (family() == AF_INET) return fmt::format("{}:{}", host(), port());
  if (family() == AF_INET6) return fmt::format("[{}]:{}", host(), port());
  return std::string(kUnixPrefix) + host();
}

}  // namespace perigee::sys
