#include "monitor/nic.h"

namespace perigee::monitor {

sys::TapSettings tap_settings(const vm::Nic& nic) {
  return {.name = nic.tap,
          .mtu = nic.mtu,
          .host_address = nic.gateway,
          .guest_address = nic.address,
          .guest_mac = nic.mac,
          .host_address6 = nic.gateway6,
          .guest_address6 = nic.address6,
          .group = nic.group};
}

}  // namespace perigee::monitor
