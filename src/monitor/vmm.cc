#include "monitor/vmm.h"

#include "monitor/firecracker_vmm.h"
#include "monitor/qemu_vmm.h"

namespace perigee::monitor {

std::unique_ptr<Vmm> make_vmm(sys::Host& host, const vm::BootSpec& boot) {
  if (boot.vmm.kind == vm::VmmKind::firecracker) {
    return std::make_unique<FirecrackerVmm>(host, boot);
  }
  return std::make_unique<QemuVmm>(host, boot);
}

}  // namespace perigee::monitor
