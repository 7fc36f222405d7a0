// The header of the PROXY protocol, version 1, a line of text; and either version read. Without
// I/O.
//
//   "PROXY TCP4 192.0.2.7 203.0.113.9 51000 443\r\n"
//
// Version 1 knows TCP alone; "PROXY UNKNOWN" says nothing of the addresses.
#pragma once

#include "proxy_protocol/proxy_header.h"

namespace perigee::proxy_protocol {

inline constexpr std::size_t kMaxTextHeader = 107;  // bytes, with its line end

Result<std::string> encode_text(const Header& header);
// `bytes` from the start of a connection; nullopt while they may become a header.
Result<std::optional<Decoded>> decode_text(std::string_view bytes);
// Of version 1 or 2, as the first byte says.
Result<std::optional<Decoded>> decode_any(std::string_view bytes);

}  // namespace perigee::proxy_protocol
