// Any bytes as a datagram between routers: refused, or written out again and read as the same.
#include <cstdint>
#include <string_view>

#include "backhaul/datagram.h"
#include "backhaul/limits.h"
#include "base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace perigee::backhaul;
  const auto decoded = decode_datagram({reinterpret_cast<const char*>(data), size});
  if (!decoded) return 0;
  PERIGEE_CHECK(decoded->payload.size() <= kMaxDatagram);
  const auto again = encode(decoded->datagram, decoded->payload);
  PERIGEE_CHECK(again.has_value());
  const auto back = decode_datagram(*again);
  PERIGEE_CHECK(back.has_value());
  PERIGEE_CHECK(back->datagram == decoded->datagram && back->payload == decoded->payload);
  return 0;
}
