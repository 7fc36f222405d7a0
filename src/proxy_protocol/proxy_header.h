// The header of the PROXY protocol, version 2, as bytes. Without I/O.
//
//   TRY(const std::string bytes, encode({.transport = Transport::tcp, .source = …}));
//   TRY(const auto decoded, decode(received));   // nullopt: more bytes are needed
//
// TLVs are kept as they came: their meaning is the caller's, types from 0xe0 to 0xef are free for
// its own. A checksum TLV is not verified. Unix socket addresses are read over, not understood.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sys/address.h"

namespace perigee::proxy_protocol {

inline constexpr std::string_view kSignature{"\r\n\r\n\0\r\nQUIT\n", 12};
inline constexpr std::size_t kMaxHeader = 4096;  // bytes, all of it
inline constexpr std::size_t kMaxTlvs = 32;

// local: the sender speaks for itself (a health check); addresses don't count.
enum class Command : std::uint8_t { local = 0, proxy = 1 };
enum class Transport : std::uint8_t { unspecified = 0, tcp = 1, udp = 2 };

struct Tlv {
  std::uint8_t type = 0;
  std::string value{};
  bool operator==(const Tlv&) const = default;
};

struct Header {
  Command command = Command::proxy;
  Transport transport = Transport::unspecified;
  // Both of one family; not set where that is unspecified.
  std::optional<sys::Address> source{};
  std::optional<sys::Address> destination{};
  std::vector<Tlv> tlvs{};

  const std::string* find(std::uint8_t type) const;  // the first TLV of that type
  bool operator==(const Header&) const = default;
};

struct Decoded {
  Header header;
  std::size_t size = 0;  // of the header; what follows is the connection's
};

Result<std::string> encode(const Header& header);
// `bytes` from the start of a connection; nullopt while they may become a header.
Result<std::optional<Decoded>> decode(std::string_view bytes);

}  // namespace perigee::proxy_protocol
