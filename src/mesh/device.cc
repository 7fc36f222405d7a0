#include "mesh/device.h"

#include "base/log.h"
#include "base/stable_hash.h"
#include "mesh/guard.h"
#include "mesh/kernel_device.h"
#include "mesh/userspace_device.h"
#include "sys/netlink.h"

namespace perigee::mesh {
namespace {

// Null where this kernel has no WireGuard.
Result<std::unique_ptr<Device>> try_kernel(const DeviceOptions& options) {
  auto device = make_kernel_device(options.interface);
  const bool refused = !device && device.error().code == Code::unsupported;
  if (refused && options.kind == DeviceKind::automatic) return nullptr;
  return device;
}

}  // namespace

std::string interface_name(std::string_view root) {
  return "pgw-" + node_hash(root);
}

async::Task<Result<std::unique_ptr<Device>>> open_device(sys::Host& host, DeviceOptions options) {
  if (options.kind != DeviceKind::kernel) {
    if (auto found = co_await adopt_userspace_device(host, options.interface)) co_return found;
  }
  if (options.kind != DeviceKind::userspace) {
    CO_TRY(auto device, try_kernel(options));
    if (device) co_return device;
  }
  co_return co_await start_userspace_device(host, options.interface, options.log);
}

async::Task<Result<void>> remove_device(sys::Host& host, std::string interface) {
  CO_TRY(sys::Netlink netlink, sys::Netlink::open());
  CO_TRY_VOID(netlink.delete_link(interface));
  if (const auto lowered = co_await lower_guard(host, interface); !lowered) {
    log_warning("mesh", "{}", lowered.error().context);
  }
  co_return co_await end_userspace_process(host, interface);
}

}  // namespace perigee::mesh
