// IpPrefix: a network of IP addresses: "203.0.113.0/28", "2001:db8::/64"; without a length the one
// address. A value.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "sys/address.h"

namespace perigee::sys {

class IpPrefix {
 public:
  // An error names the text; one with bits behind its length is none.
  static Result<IpPrefix> parse(std::string_view text);

  bool is_ipv6() const { return ipv6_; }
  int length() const { return length_; }  // bits
  std::string first() const;              // its first address
  std::string_view bytes() const;         // of that, in the order of the network: 4 or 16
  bool contains(const Address& address) const;
  // How many addresses it has; of more than 2^63 so many.
  std::uint64_t size() const;
  std::string at(std::uint64_t number) const;  // of its addresses, from 0; below size()
  std::string str() const;
  bool operator==(const IpPrefix&) const = default;

 private:
  bool ipv6_ = false;
  int length_ = 0;
  std::array<char, 16> bytes_{};
};

}  // namespace perigee::sys
