#include "mesh/kernel_device.h"

#include <linux/wireguard.h>

#include "mesh/kernel_codec.h"
#include "sys/netlink.h"
#include "sys/netlink_socket.h"

namespace perigee::mesh {
namespace {

class KernelDevice : public Device {
 public:
  KernelDevice(sys::GenericNetlink netlink, std::string interface)
      : netlink_(std::move(netlink)), interface_(std::move(interface)) {}

  async::Task<Result<DeviceState>> read() override {
    DeviceState state;
    Result<void> parsed;
    CO_TRY_VOID(netlink_.socket().dump(kernel_get(netlink_.family(), interface_), netlink_.family(),
                                       fmt::format("read WireGuard interface {}", interface_),
                                       [&](std::string_view payload) {
                                         if (parsed) parsed = parse_kernel_state(payload, state);
                                       }));
    if (!parsed) co_return fail(std::move(parsed).error());
    co_return state;
  }

  async::Task<Result<void>> change(DeviceChange change) override {
    for (const auto& message : kernel_set(netlink_.family(), interface_, change)) {
      CO_TRY_VOID(netlink_.socket().request(
          message, fmt::format("configure WireGuard interface {}", interface_)));
    }
    co_return Result<void>();
  }

  std::string_view kind() const override { return "kernel"; }

 private:
  sys::GenericNetlink netlink_;
  std::string interface_;
};

}  // namespace

// SAFETY: makes an interface in this network namespace; needs CAP_NET_ADMIN. The kernel loads its
// module when asked for one.
Result<std::unique_ptr<Device>> make_kernel_device(const std::string& interface) {
  TRY(sys::Netlink links, sys::Netlink::open());
  TRY_VOID(links.create_link(interface, "wireguard"));
  TRY(sys::GenericNetlink netlink, sys::GenericNetlink::open(WG_GENL_NAME));
  return std::make_unique<KernelDevice>(std::move(netlink), interface);
}

}  // namespace perigee::mesh
