// ClientHello: what a TLS client says first, read without taking part (RFC 8446 sections 4.1.2 and
// 5.1, RFC 6066 section 3). So a connection that is passed on as it is finds its app by the name
// that it asks for. Without I/O; bytes come from strangers.
//
//   TRY(const auto hello, parse_client_hello(received));   // nullopt: more bytes are needed
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace perigee::crypto {

// Of the whole message, its records' headers included. Browsers send up to 2 KiB.
inline constexpr std::size_t kMaxClientHello = 16 * 1024;

struct ClientHello {
  std::string server_name;  // in lower case, without a final dot; empty: it asks for none
  bool operator==(const ClientHello&) const = default;
};

// `bytes` from the start of a connection; what follows the message is not looked at.
Result<std::optional<ClientHello>> parse_client_hello(std::string_view bytes);

}  // namespace perigee::crypto
