#include "worker/addresses.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/text.h"

namespace perigee::worker {
namespace {

constexpr std::uint32_t kFirstNumber = 2;  // after the network's own and the gateway's

std::optional<std::uint32_t> parse_ipv4(std::string_view text) {
  const std::vector<std::string_view> parts = split(text, '.');
  if (parts.size() != 4) return std::nullopt;
  std::uint32_t value = 0;
  for (const std::string_view part : parts) {
    const auto number = parse_uint(part, 255);
    if (!number) return std::nullopt;
    value = (value << 8) | static_cast<std::uint32_t>(*number);
  }
  return value;
}

std::string to_text(std::uint32_t address) {
  return fmt::format("{}.{}.{}.{}", address >> 24, (address >> 16) & 0xff, (address >> 8) & 0xff,
                     address & 0xff);
}

}  // namespace

Result<AddressPool> AddressPool::open(std::string_view network) {
  constexpr std::uint64_t kLongestPrefix = 29;
  constexpr std::uint64_t kShortestPrefix = 8;
  const auto parts = split_once(network, '/');
  const auto base = parts ? parse_ipv4(parts->first) : std::nullopt;
  const auto prefix = parts ? parse_uint(parts->second, kLongestPrefix) : std::nullopt;
  if (!base || !prefix || *prefix < kShortestPrefix) {
    return fail(Code::invalid_argument,
                "worker.network '{}': not an IPv4 network from /8 to /29 (such as 10.201.0.0/16)",
                network);
  }
  const std::uint32_t size = 1U << (32 - static_cast<unsigned>(*prefix));
  if (*base % size != 0) {
    return fail(Code::invalid_argument, "worker.network '{}': {} is not the start of a /{}",
                network, parts->first, *prefix);
  }
  return AddressPool(*base + kFirstNumber, *base + size - 2);  // the last one is for broadcast
}

std::string AddressPool::gateway() const {
  return to_text(first_ - 1);
}

Result<std::string> AddressPool::take() {
  const std::uint32_t size = last_ - first_ + 1;
  for (std::uint32_t i = 0; i < size; ++i) {
    const std::uint32_t offset = (next_ + i) % size;
    if (!taken_.insert(first_ + offset).second) continue;
    next_ = (offset + 1) % size;
    return to_text(first_ + offset);
  }
  return fail(Code::resource_exhausted,
              "all {} addresses of the node's network are in use (set worker.network to a larger "
              "one)",
              size);
}

bool AddressPool::reserve(std::string_view address) {
  const auto value = parse_ipv4(address);
  if (!value || *value < first_ || *value > last_) return false;
  if (!taken_.insert(*value).second) return false;
  next_ = std::max(next_, (*value - first_ + 1) % (last_ - first_ + 1));
  return true;
}

std::uint32_t AddressPool::value_of(std::string_view address) {
  return parse_ipv4(address).value_or(0);
}

std::uint32_t AddressPool::number_of(std::string_view address) const {
  return value_of(address) - (first_ - kFirstNumber);
}

std::string embedded_address(std::string_view prefix, std::string_view address) {
  const std::uint32_t value = AddressPool::value_of(address);
  return fmt::format("{}{:x}:{:x}", prefix, value >> 16, value & 0xffff);
}

void AddressPool::give_back(std::string_view address) {
  if (const auto value = parse_ipv4(address)) taken_.erase(*value);
}

}  // namespace perigee::worker
