// WireGuard by Debian's wireguard-go, for kernels without: one process per interface, spoken to on
// its Unix socket (uapi.h). The process is in a session of its own and outlives whoever started it;
// interface and socket are all that is needed to find it again. Private to mesh.
#pragma once

#include <memory>
#include <string>

#include "mesh/device.h"

namespace perigee::mesh {

// A running process whose interface is in our network namespace; an error where there is none.
async::Task<Result<std::unique_ptr<Device>>> adopt_userspace_device(sys::Host& host,
                                                                    std::string interface);
// What is left of an earlier process is removed first.
async::Task<Result<std::unique_ptr<Device>>> start_userspace_device(sys::Host& host,
                                                                    std::string interface,
                                                                    std::string log);
// Ends the process of the interface, if there is one.
async::Task<Result<void>> end_userspace_process(sys::Host& host, std::string interface);

}  // namespace perigee::mesh
