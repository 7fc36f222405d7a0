// Names that follow from a machine's id (driver.h).
#include "base/stable_hash.h"
#include "vm/driver.h"

namespace perigee::vm {
namespace {

constexpr std::size_t kDigitsInTap = 12;

}  // namespace

std::string tap_name(const MachineId& machine) {
  return std::string(kTapPrefix) + machine.str().substr(0, kDigitsInTap);
}

std::string mac_address(const MachineId& machine) {
  const std::uint64_t value = stable_hash(machine.str());
  std::string mac = "02";
  for (int i = 0; i < 5; ++i) mac += fmt::format(":{:02x}", (value >> (8 * i)) & 0xff);
  return mac;
}

}  // namespace perigee::vm
