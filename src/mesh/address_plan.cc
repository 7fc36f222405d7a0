#include "mesh/address_plan.h"

#include <sys/socket.h>

#include <algorithm>
#include <span>

namespace perigee::mesh {
namespace {

constexpr int kFleetBits = 48;
constexpr int kSubnetBits = 64;
constexpr std::uint8_t kUniqueLocal = 0xfd;
constexpr std::size_t kSubnetByte = 6;
constexpr std::size_t kAppByte = 8;
constexpr std::size_t kLastByte = 12;
constexpr const char* kAppMask = "ffff:ffff:ffff:0:ffff:ffff::";

constexpr int kAppBits = 96;

std::uint32_t take(const Prefix& prefix, std::size_t at, std::size_t size) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value = value << 8 | prefix.bytes.at(at + i);
  return value;
}

// Its first `length` bits, of whole bytes.
Prefix cut(const Prefix& prefix, int length) {
  Prefix out = prefix;
  out.length = length;
  std::fill(out.bytes.begin() + length / 8, out.bytes.end(), std::uint8_t{0});
  return out;
}

void put(Prefix& prefix, std::size_t at, std::uint32_t value, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    prefix.bytes.at(at + i) = static_cast<std::uint8_t>(value >> 8 * (size - 1 - i));
  }
}

}  // namespace

Result<NodeIndex> NodeIndex::make(std::int64_t value) {
  if (value < 1 || value > 0xffff) {
    return fail(Code::invalid_argument, "node index {}: it is 1 to 65535", value);
  }
  return NodeIndex(static_cast<std::uint16_t>(value));
}

Result<FleetPrefix> FleetPrefix::parse(std::string_view text) {
  const auto prefix = Prefix::parse(text);
  if (!prefix || prefix->length != kFleetBits || prefix->bytes[0] != kUniqueLocal) {
    return fail(Code::invalid_argument,
                "fleet prefix '{}': not a unique local /48 (such as fd12:3456:789a::/48)", text);
  }
  return FleetPrefix(*prefix);
}

FleetPrefix FleetPrefix::generate(sys::Entropy& entropy) {
  Prefix prefix{.family = AF_INET6, .length = kFleetBits};
  prefix.bytes[0] = kUniqueLocal;
  entropy.fill(std::span(prefix.bytes).subspan(1, kFleetBits / 8 - 1));
  return FleetPrefix(prefix);
}

Prefix FleetPrefix::address(std::uint16_t subnet, std::uint32_t app, std::uint32_t last) const {
  Prefix out = prefix_;
  put(out, kSubnetByte, subnet, 2);
  put(out, kAppByte, app, 4);
  put(out, kLastByte, last, 4);
  out.length = 128;
  return out;
}

Prefix FleetPrefix::nodes() const {
  Prefix out = prefix_;
  out.length = kSubnetBits;
  return out;
}

std::string FleetPrefix::node_address(NodeIndex node) const {
  return address(0, 0, node.value()).address();
}

Prefix FleetPrefix::machines(NodeIndex node) const {
  Prefix out = address(node.value(), 0, 0);
  out.length = kSubnetBits;
  return out;
}

std::string FleetPrefix::machine_address(NodeIndex node, std::uint32_t app,
                                         std::uint32_t machine) const {
  return address(node.value(), app, machine).address();
}

Result<AppNetwork> AppNetwork::parse(std::string_view text) {
  const std::string what = fmt::format("app's network '{}'", text);
  TRY_AS(const Prefix prefix, Prefix::parse(text), what);
  TRY_AS(const FleetPrefix fleet, FleetPrefix::parse(cut(prefix, kFleetBits).str()), what);
  TRY_AS(const NodeIndex node, NodeIndex::make(take(prefix, kSubnetByte, 2)), what);
  const std::uint32_t app = take(prefix, kAppByte, 4);
  if (app == 0 || prefix.length != kAppBits) {
    return fail(Code::invalid_argument, "{}: not a /{} with an app's number", what, kAppBits);
  }
  return AppNetwork(fleet, node, app);
}

std::string AppNetwork::str() const {
  return fmt::format("{}/{}", machine(0), kAppBits);
}

AppMatch FleetPrefix::app(std::uint32_t app) const {
  return {.mask = kAppMask, .value = address(0, app, 0).address()};
}

}  // namespace perigee::mesh
