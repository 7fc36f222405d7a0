// The other end of the emulator's socket.
#pragma once

#include "async/task.h"
#include "json/json.h"
#include "lab/topology.h"
#include "lab/wan_control.h"
#include "sys/host.h"

namespace perigee::lab {

// What the emulator answers; `unavailable` where none runs.
async::Task<Result<json::Value>> ask_emulator(sys::Host& host, const Plan& plan,
                                              WanRequest request);

}  // namespace perigee::lab
