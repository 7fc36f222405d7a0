// Address: where a stream connects to or a listener listens: IPv4 or IPv6 with a port, or a Unix
// path.
//
//   "127.0.0.1:8080"  "[::1]:443"  "unix:/run/perigee/control.sock"
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace perigee::sys {

class Address {
 public:
  Address() = default;
  static Result<Address> parse(std::string_view text);
  static Result<Address> unix_path(std::string_view path);
  static Result<Address> ip(std::string_view host, std::uint16_t port);  // literal, no look-up
  static Address from_raw(const sockaddr* raw, socklen_t size);

  bool is_unix() const { return family() == AF_UNIX; }
  bool is_ipv6() const { return family() == AF_INET6; }
  bool is_loopback() const;
  int family() const { return raw()->sa_family; }
  std::uint16_t port() const;
  std::string host() const;  // without port: "10.0.0.1", "::1", or the path
  std::string str() const;
  const sockaddr* raw() const {
    return path_ == nullptr ? &ip_.none : reinterpret_cast<const sockaddr*>(path_.get());
  }
  socklen_t raw_size() const { return size_; }
  bool operator==(const Address& other) const;
  std::size_t hash() const;

 private:
  std::string_view ip_bytes() const;  // empty: a path

  // A connection keeps some of these while it is idle, and most are of the internet: a path has its
  // place elsewhere.
  union {
    sockaddr none;
    sockaddr_in v4;
    sockaddr_in6 v6;
  } ip_{.v6 = {}};
  socklen_t size_ = 0;
  std::shared_ptr<const sockaddr_un> path_{};
};

}  // namespace perigee::sys

template <>
struct std::hash<perigee::sys::Address> {
  std::size_t operator()(const perigee::sys::Address& address) const { return address.hash(); }
};

template <>
struct fmt::formatter<perigee::sys::Address> : fmt::formatter<std::string_view> {
  auto format(const perigee::sys::Address& address, fmt::format_context& context) const {
    return fmt::formatter<std::string_view>::format(address.str(), context);
  }
};
