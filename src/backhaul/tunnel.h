// A tunnel's opening: what one router tells another at the start of a TCP connection that is to end
// at a machine. A PROXY header of version 2 says who the client is, and in fields of our own which
// machine is meant; one byte comes back (docs/formats/backhaul.md). Pure.
#pragma once

#include <optional>
#include <string>

#include "backhaul/hop.h"
#include "proxy_protocol/proxy_header.h"
#include "sys/address.h"

namespace perigee::backhaul {

struct Tunnel {
  Hop hop{};
  sys::Address client{};
  int listener_port = 0;  // that the client is connected to, as users see it
  std::string request_id{};
  bool operator==(const Tunnel&) const = default;
};

Result<std::string> opening(const Tunnel& tunnel);
Result<Tunnel> tunnel_of(const proxy_protocol::Header& header);

// The answer: nullopt is yes, from here on the bytes are the machine's.
char answer_byte(std::optional<Refusal> refusal);
std::optional<Refusal> refusal_of(char answer);

}  // namespace perigee::backhaul
