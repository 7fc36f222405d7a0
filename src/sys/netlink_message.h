// A netlink message as bytes (RFC 3549; netlink(7)): a header, the family's own header, attributes.
// Pure: what rtnetlink and generic netlink have in common, without a socket.
//
//   NetlinkMessage message(RTM_NEWLINK, NLM_F_CREATE, ifinfomsg{});
//   message.add(IFLA_MTU, std::uint32_t{1420});
//   const std::size_t info = message.begin_nested(IFLA_LINKINFO);
//   message.add(IFLA_INFO_KIND, "wireguard");
//   message.end_nested(info);
//
//   for_each_attribute(payload, [&](unsigned type, std::string_view value) { … });
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>

namespace perigee::sys {

class NetlinkMessage {
 public:
  // `body`: the family's header, such as ifinfomsg, as it lies in memory.
  template <typename T>
  NetlinkMessage(std::uint16_t type, unsigned flags, const T& body)
      : NetlinkMessage(type, flags, as_bytes(body)) {}
  NetlinkMessage(std::uint16_t type, unsigned flags, std::string_view body);

  void add(unsigned type, std::string_view value);
  void add_text(unsigned type, std::string_view text);  // with a zero behind it
  template <typename T>
    requires std::is_arithmetic_v<T>
  void add(unsigned type, T value) {
    add(type, as_bytes(value));
  }
  // What is added until the end is within this attribute.
  std::size_t begin_nested(unsigned type);
  void end_nested(std::size_t begin);

  std::size_t size() const { return bytes_.size(); }
  // The whole message, its length filled in.
  std::string finish(unsigned more_flags, std::uint32_t sequence) const;

 private:
  template <typename T>
  static std::string_view as_bytes(const T& value) {
    return {reinterpret_cast<const char*>(&value), sizeof value};
  }
  void pad();

  std::string bytes_;
};

// The start of `bytes` as a plain struct; what is missing is zero.
template <typename T>
T read_as(std::string_view bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));  // NOLINT: sized
  return value;
}

// `bytes` without its first `count`, or nothing.
std::string_view skip(std::string_view bytes, std::size_t count);

// Each attribute of a list; the flags in its type are taken off. Ends at what is malformed.
void for_each_attribute(std::string_view attributes,
                        const std::function<void(unsigned type, std::string_view value)>& take);

}  // namespace perigee::sys
