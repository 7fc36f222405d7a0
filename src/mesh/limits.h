// Every bound of the mesh.
#pragma once

#include <cstddef>

#include "base/time.h"

namespace perigee::mesh {

inline constexpr std::size_t kMaxPeers = 4096;
inline constexpr std::size_t kMaxAllowedPrefixes = 16;          // of one wanted peer
inline constexpr std::size_t kMaxUapiAnswer = 8 * 1024 * 1024;  // kMaxPeers peers take 2 MiB
inline constexpr std::size_t kMaxKeyFile = 4096;                // bytes
inline constexpr std::size_t kMaxKernelMessage = 16 * 1024;     // of one request to the kernel
inline constexpr std::size_t kMaxProcessLog = 4 * 1024 * 1024;  // wireguard-go's, at its start

// What is left of Ethernet's 1500 bytes behind IPv6 (40), UDP (8) and WireGuard (32).
inline constexpr int kDefaultMtu = 1420;
inline constexpr int kMinMtu = 1280;  // IPv6's own
inline constexpr int kMaxMtu = 8920;  // of jumbo frames

// NATs forget a UDP flow after 30 s at the earliest.
inline constexpr Duration kKeepalive = 25s;
// WireGuard's REJECT_AFTER_TIME: a peer whose newest handshake is older is not in contact.
inline constexpr Duration kContactLost = 180s;

inline constexpr Duration kDeviceTimeout = 5s;  // of one question to the device
inline constexpr Duration kProcessStart = 5s;   // until wireguard-go answers
inline constexpr Duration kProcessPoll = 10ms;
inline constexpr Duration kRepairInterval = 10s;      // between two looks at the device
inline constexpr Duration kRotationInterval = 100ms;  // while a peer may change its key
inline constexpr int kMaxRounds = 3;                  // of changes in one apply()
// wireguard-go's buffers grow to hundreds of MiB under load without it.
inline constexpr const char* kProcessMemory = "48MiB";

}  // namespace perigee::mesh
