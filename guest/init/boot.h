// The first steps in the initrd: kernel file systems, the kernel command line, modules. The initrd
// (tools/guest/make-initrd) holds /lib/modules.order with lines "NAME [CARRIER]" and the modules.
#pragma once

#include <string>

#include "init/result.h"

namespace perigee::init {

// /proc, /sys and /dev; they move into the app's root later (root.h).
Status mount_kernel_filesystems();

enum class ExitBy { kPowerOff, kReboot };  // what makes the VMM end: perigee.exit=poweroff|reboot
struct BootParameters {
  std::string carrier = "virtio-serial";  // perigee.carrier=
  ExitBy exit_by = ExitBy::kReboot;
};
Result<BootParameters> read_boot_parameters();

// Loads what modules.order lists for every carrier and for this one, and frees the files' memory.
Status load_modules(const std::string& carrier);

}  // namespace perigee::init
