// The rate of the processor's time-stamp counter. A guest under emulation can't measure it reliably
// while the host is busy, so it is told (kernel parameter tsc_early_khz).
#pragma once

#include <cstdint>

namespace perigee::sys {

// Measured against CLOCK_MONOTONIC_RAW; takes about 50 ms and blocks. 0 where there is no such
// counter.
std::uint32_t measure_tsc_khz();

}  // namespace perigee::sys
