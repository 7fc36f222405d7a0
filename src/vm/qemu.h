// The command line of QEMU's microvm machine for a BootSpec: a pure function, checked against
// golden text. What the choices rest on is in docs/decisions/0006-monitor.md.
#pragma once

#include <string>
#include <vector>

#include "vm/spec.h"

namespace perigee::vm {

// Descriptor numbers in the VMM: listening sockets for channel, console and QMP, the tap, the
// guest's memory, the state of its devices where it is resumed, kernel and initrd, and the disks.
// The VMM sees none of the host's files (sys/confinement.h): it opens them by these descriptors.
inline constexpr int kChannelFd = 3;
inline constexpr int kConsoleFd = 4;
inline constexpr int kQmpFd = 5;
inline constexpr int kTapFd = 6;
inline constexpr int kRamFd = 7;
inline constexpr int kStateFd = 8;
inline constexpr int kKernelFd = 9;
inline constexpr int kInitrdFd = 10;
inline constexpr int kFirstDiskFd = 16;

// With ACPI microvm has 24 virtio transports: disks, one network card, one serial bus.
inline constexpr int kVirtioTransports = 24;
inline constexpr int kMaxQemuLayers = kVirtioTransports - 3 - static_cast<int>(kMaxVmVolumes);

// The guest's disks in order: the n-th is descriptor kFirstDiskFd + n.
enum class DiskAccess { read_only, scratch, durable };
struct Disk {
  std::string path;
  DiskAccess access;
  bool operator==(const Disk&) const = default;
};
std::vector<Disk> disks_of(const VmSpec& vm);

std::string qemu_name(const MachineId& machine);  // the value of -name
std::vector<std::string> qemu_command(const BootSpec& boot);
std::string kernel_command_line(const VmmSettings& vmm);

}  // namespace perigee::vm
