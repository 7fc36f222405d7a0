// The kernel's WireGuard, spoken to by generic netlink (kernel_codec.h). Private to mesh.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "mesh/device.h"

namespace perigee::mesh {

// Makes the interface unless it is there; `unsupported` where the kernel can't. Blocks for the
// moment that the kernel takes.
Result<std::unique_ptr<Device>> make_kernel_device(const std::string& interface);

}  // namespace perigee::mesh
