// The host's side of a VM's network card, as its specification has it.
#pragma once

#include "sys/tap.h"
#include "vm/driver.h"

namespace perigee::monitor {

sys::TapSettings tap_settings(const vm::Nic& nic);

}  // namespace perigee::monitor
