// The app's root: read-only EROFS layer disks (lowest first) under a writable ext4 disk, joined by
// overlayfs. Disks are /dev/vda, /dev/vdb, ... in the order in which the VMM was given them.
// Owned by Supervisor for the machine's life: close() leaves the writable disk clean.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "init/result.h"
#include "init/system.h"

namespace perigee::init {

// Waits for a disk to appear; `what` is for the message.
Status await_disk(std::uint32_t index, std::string_view what);
std::string disk_path(std::uint32_t index);

class Root {
 public:
  // Mounts all disks and makes the result "/", with /proc, /sys, /dev and their kin in it. The
  // image's own /run and /tmp stay as they are (the root is writable); they are made if missing.
  Status enter(std::uint32_t layers, std::optional<std::uint32_t> upper_disk);

  // Everything written is on the disks; the file systems are read-only where the kernel lets them.
  void close();

 private:
  Status mount_layers(std::uint32_t layers);
  Status mount_upper(std::uint32_t disk);
  Status join(std::uint32_t layers);

  Fd initrd_;  // the way back to the disks' own mounts, which lie under the app's root
};

}  // namespace perigee::init
