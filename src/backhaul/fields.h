// The types of our own fields in PROXY headers (docs/formats/backhaul.md), of tunnels and of UDP.
// Private to backhaul.
#pragma once

#include <cstdint>

namespace perigee::backhaul {

enum Field : std::uint8_t {
  kApp = 0xe0,
  kMachine = 0xe1,
  kNode = 0xe2,
  kMachinePort = 0xe3,
  kRelays = 0xe4,     // of tunnels
  kRequestId = 0xe5,  // of tunnels
  kFrom = 0xe6,
  kKind = 0xe7,     // of datagrams
  kRefusal = 0xe8,  // of datagrams
};

}  // namespace perigee::backhaul
