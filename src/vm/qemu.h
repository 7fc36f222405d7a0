// The command line of QEMU's microvm machine for a BootSpec: a pure function, checked against
// golden text. What the choices rest on is in docs/decisions/0006-monitor.md.
#pragma once

#include <string>
#include <vector>

#include "vm/spec.h"

namespace perigee::vm {

// Descriptor numbers in the VMM: listening sockets for channel, console and QMP, the tap, the
// guest's memory, and the state of its devices where it is resumed.
inline constexpr int kChannelFd = 3;
inline constexpr int kConsoleFd = 4;
inline constexpr int kQmpFd = 5;
inline constexpr int kTapFd = 6;
inline constexpr int kRamFd = 7;
inline constexpr int kStateFd = 8;

// With ACPI microvm has 24 virtio transports: disks, one network card, one serial bus.
inline constexpr int kVirtioTransports = 24;
inline constexpr int kMaxQemuLayers = kVirtioTransports - 3;

std::string qemu_name(const MachineId& machine);  // the value of -name
std::vector<std::string> qemu_command(const BootSpec& boot);
std::string kernel_command_line(const VmmSettings& vmm);

}  // namespace perigee::vm
