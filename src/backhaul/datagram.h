// A user's UDP datagram on its way between two routers, as bytes: a PROXY header of version 2 that
// says who the client is and which address it speaks to, fields of our own that say which machine
// is meant, and the datagram (docs/formats/backhaul.md). Pure. One header each: none depends on
// another that may be lost.
//
//   TRY(const std::string bytes, encode(datagram, payload));
//   TRY(const DecodedDatagram decoded, decode_datagram(bytes));   // its payload is a part of
//   `bytes`
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "backhaul/hop.h"
#include "sys/address.h"

namespace perigee::backhaul {

enum class DatagramKind {
  to_machine,
  from_machine,
  refused,  // the machine's router did not give it to the machine: it comes back, to go elsewhere
};

struct Datagram {
  DatagramKind kind = DatagramKind::to_machine;
  sys::Address client{};
  sys::Address listener{};  // of ours, that the client speaks to and is answered from
  std::string machine{};
  std::string app{};  // and the app's port in the machine: on the way there alone
  int port = 0;
  // Where a third router passes it on: the node that it is for and the one that it is from.
  std::string node{};
  std::string from{};
  std::optional<Refusal> refusal{};  // of a refused one
  bool operator==(const Datagram&) const = default;
};

// It comes back; by which way is told anew.
Datagram refused(Datagram datagram, Refusal refusal);

struct DecodedDatagram {
  Datagram datagram;
  std::string_view payload;
};

Result<std::string> encode(const Datagram& datagram, std::string_view payload);
Result<DecodedDatagram> decode_datagram(std::string_view bytes);

}  // namespace perigee::backhaul
