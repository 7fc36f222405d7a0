// What bounds the lab.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace perigee::lab {

inline constexpr std::size_t kMaxCities = 64;  // each has a /16 of 10.0.0.0/8 for its machines

// The emulator's queues. Behind one direction of a path there may be 32 MiB: 1 Gbit/s over 260 ms.
inline constexpr std::uint64_t kMaxPathBytes = 32ULL << 20;
inline constexpr std::size_t kMaxPathFrames = 64 * 1024;
inline constexpr std::uint64_t kMaxWanBytes = 512ULL << 20;  // all paths together
inline constexpr Duration kMaxRateWait = 100ms;   // the buffer before a path of limited rate
inline constexpr Duration kMaxDelay = 10s;        // one way, jitter included
inline constexpr std::size_t kMaxFrame = 65'562;  // a segmentation-offload frame of 64 KiB
inline constexpr int kPortBurst = 64;             // frames read from one port before the next turn

inline constexpr std::size_t kMaxLabFile = 64 * 1024;
inline constexpr std::size_t kMaxControlLine = 4096;
inline constexpr std::size_t kMaxControlAnswer = 4 * 1024 * 1024;  // of 64 x 63 paths
inline constexpr Duration kControlTimeout = 5s;
inline constexpr std::size_t kMaxControlClients = 16;
inline constexpr std::uint64_t kMaxCaptureBytes = 1ULL << 30;

inline constexpr std::size_t kParallelSteps = 8;  // of bring-up, on one host
inline constexpr Duration kIpTimeout = 20s;
inline constexpr Duration kEmulatorStart = 20s;
inline constexpr Duration kNodeStart = 70s;     // `perigee up` has its own bound below that
inline constexpr Duration kCgroupsEmpty = 20s;  // until the last killed process has left its group
inline constexpr Duration kEtcdStart = 30s;     // until its members have a leader
inline constexpr Duration kNodesReady = 100s;   // all of them: 17 make trial boots at once

}  // namespace perigee::lab
