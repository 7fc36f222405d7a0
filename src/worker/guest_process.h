// What runs in the guest: the image's configuration joined with the machine's. Pure.
#pragma once

#include <string_view>

#include "base/result.h"
#include "image/image.h"
#include "model/types.h"
#include "vm/driver.h"

namespace perigee::worker {

// argv: init.exec, else entrypoint and cmd, each from the machine's `init` where set. env: the
// image's, then the machine's, then the platform's own (PERIGEE_* and their FLY_* aliases), without
// the names that the machine's secrets take (VmSpec::secrets).
// `invalid_argument` where nothing is left to run.
Result<vm::GuestProcess> guest_process(const image::Config& image, const model::Machine& machine,
                                       std::string_view private_ip);

}  // namespace perigee::worker
