// The first steps in the initrd: kernel file systems, the kernel command line, modules. The initrd
// (tools/guest/make-initrd) holds /lib/modules.order with lines "NAME [PURPOSE]" and the modules. A
// purpose is a carrier's name or "encryption"; a module without one is always loaded.
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

// Loads what modules.order lists for every carrier and for this one, and frees the files' memory,
// but for those that a volume may need.
Status load_modules(const std::string& carrier);

// The rest, once it is known whether a volume is encrypted: loaded where one is, freed either way.
// While the initrd is still "/".
enum class Encryption { kUnused, kUsed };
Status settle_encryption_modules(Encryption encryption);

}  // namespace perigee::init
