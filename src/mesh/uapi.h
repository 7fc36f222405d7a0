// WireGuard's cross-platform configuration protocol, as wireguard-go speaks it on its Unix socket
// (https://www.wireguard.com/xplatform/): lines "key=value", an empty line at the end. Sans-I/O.
//
//   write(uapi_get()); while (!uapi_complete(text)) text += read();
//   TRY(const DeviceState state, parse_uapi_state(text));
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "mesh/types.h"

namespace perigee::mesh {

std::string uapi_get();
std::string uapi_set(const DeviceChange& change);

bool uapi_complete(std::string_view answer);
// What a device tells; an error number in it is an error.
Result<DeviceState> parse_uapi_state(std::string_view answer);
Result<void> parse_uapi_done(std::string_view answer);

}  // namespace perigee::mesh
