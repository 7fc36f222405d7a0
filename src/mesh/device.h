// Device: a WireGuard interface that exists, as an interface (C++'s) over the two kinds: the
// kernel's (kernel_device.h) and wireguard-go's (userspace_device.h). It knows keys and peers;
// addresses and routes are set by interface.h.
//
// open_device() takes what is there: a device of an earlier run, whoever made it, keeps its
// sessions. One that is not there is made: by the kernel if it can, else by wireguard-go.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "async/task.h"
#include "base/result.h"
#include "mesh/types.h"
#include "sys/host.h"

namespace perigee::mesh {

class Device {
 public:
  virtual ~Device() = default;  // leaves the interface as it is
  virtual async::Task<Result<DeviceState>> read() = 0;
  virtual async::Task<Result<void>> change(DeviceChange change) = 0;
  virtual std::string_view kind() const = 0;  // "kernel", "wireguard-go"
};

enum class DeviceKind { automatic, kernel, userspace };

struct DeviceOptions {
  std::string interface;  // interface_name(…)
  std::string log;        // where wireguard-go writes
  DeviceKind kind = DeviceKind::automatic;
};

// The interface of the node whose state lies at `root`. Unlike that of any other node on this host,
// in whatever network namespace: wireguard-go's sockets have one folder for all.
std::string interface_name(std::string_view root);

async::Task<Result<std::unique_ptr<Device>>> open_device(sys::Host& host, DeviceOptions options);
// The interface goes, and the process with it. Absent is fine.
async::Task<Result<void>> remove_device(sys::Host& host, std::string interface);

}  // namespace perigee::mesh
