// AddressPool: the IPv4 addresses of a node's machines, out of its network: the first is the host's
// side of every tap (the gateway), the others go to machines. Given out in turn, so that a freed
// address is used again as late as possible (a router may still hold a connection to it).
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"

namespace perigee::worker {

class AddressPool {
 public:
  static Result<AddressPool> open(std::string_view network);  // "10.201.0.0/16"

  std::string gateway() const;
  Result<std::string> take();
  // An address that a record holds; false where it is outside or taken.
  bool reserve(std::string_view address);
  void give_back(std::string_view address);
  // An address as a number: 0x0ac90002 for 10.201.0.2.
  static std::uint32_t value_of(std::string_view address);
  // An address's place in the network: 2 for the first machine's.
  std::uint32_t number_of(std::string_view address) const;
  std::size_t taken() const { return taken_.size(); }

 private:
  AddressPool(std::uint32_t first, std::uint32_t last) : first_(first), last_(last) {}
  std::uint32_t first_;  // of machines
  std::uint32_t last_;
  std::uint32_t next_ = 0;  // offset from first_
  std::set<std::uint32_t> taken_;
};

// The IPv6 address that goes with an IPv4 one: `prefix` ends in "::", the last 32 bits are the
// same.
std::string embedded_address(std::string_view prefix, std::string_view address);

}  // namespace perigee::worker
