#include "sys/host.h"

#include <vector>

#include "base/text.h"

namespace perigee::sys {

std::string random_hex(Entropy& entropy, std::size_t bytes) {
  std::vector<std::uint8_t> raw(bytes);
  entropy.fill(raw);
  return to_hex(raw);
}

}  // namespace perigee::sys
