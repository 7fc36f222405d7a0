// Volumes: disks that outlive the machine, mounted in the app's root before the app runs and
// unmounted when everybody has ended. Each is an ext4 file system whose journal the kernel replays;
// one that is smaller than its disk (the volume was extended) grows here, by the kernel's own
// resize. Owned by Supervisor for the machine's life.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "channel/types.h"
#include "init/result.h"

namespace perigee::init {

class Volumes {
 public:
  // After Root::enter(). `user`: who gets a file system's top directory while it is still root's.
  Status open(const std::vector<channel::VolumeMount>& mounts, std::string_view user);
  // After everybody else has ended: unmounted, or at least synced.
  void close();

 private:
  std::vector<std::string> mounted_;  // paths
};

}  // namespace perigee::init
