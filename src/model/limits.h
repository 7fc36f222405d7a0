// Bounds of the model.
#pragma once

#include <cstddef>

#include "base/time.h"

namespace perigee::model {

inline constexpr std::size_t kMaxNodes = 4096;  // of a fleet

inline constexpr std::size_t kMaxNamedMachines = 1024;  // of one app

inline constexpr std::size_t kMaxMachineEvents = 32;
inline constexpr std::size_t kMaxReleaseEvents = 512;
inline constexpr std::size_t kMaxEnv = 512;
inline constexpr std::size_t kMaxEnvBytes = 64 * 1024;
inline constexpr std::size_t kMaxServices = 32;
inline constexpr std::size_t kMaxPortsPerService = 64;
inline constexpr std::size_t kMaxSharedPorts = 256;  // of one app, without an address of its own
inline constexpr std::size_t kMaxAddresses = 16;     // of one app
inline constexpr std::size_t kMaxHosts = 64;         // of one app, beside the platform's
inline constexpr std::size_t kMaxRouteCertificates = 256;  // of one app
inline constexpr std::size_t kMaxAlpn = 8;                 // names that a port chooses from
inline constexpr std::size_t kMaxHeaderRules = 32;         // of a port
inline constexpr std::size_t kMaxHeaderValues = 8;         // of one of them
inline constexpr std::size_t kMaxHeaderName = 64;
inline constexpr std::size_t kMaxHeaderValue = 2048;
inline constexpr std::size_t kMaxMounts = 1;  // of one machine
inline constexpr std::size_t kMaxVolumesPerNode = 16384;
inline constexpr std::size_t kMaxSnapshots = 64;  // of one volume
inline constexpr std::int64_t kMinVolumeMib = 16;
inline constexpr bool kVolumesAreEncrypted = false;  // unless a volume is asked for otherwise
inline constexpr std::int64_t kMaxVolumeMib = std::int64_t{256} * 1024;
inline constexpr std::int64_t kUsualVolumeMib = 1024;
inline constexpr std::size_t kMaxRegions = 256;  // of one app
inline constexpr int kMaxScale = 256;            // machines of one app, in all or in one region
inline constexpr std::size_t kMaxEgressRules = 64;
inline constexpr std::size_t kMaxChecks = 32;  // of a machine
inline constexpr std::size_t kMaxCheckName = 64;
inline constexpr std::size_t kMaxCheckHeaders = 32;
inline constexpr std::size_t kMaxCheckText = 2048;    // bytes of a path or of a header's value
inline constexpr std::size_t kMaxCheckOutput = 1024;  // bytes
inline constexpr int kMinMemoryMib = 128;
inline constexpr int kMaxMemoryMib = 256 * 1024;
inline constexpr int kMaxCpus = 32;
inline constexpr int kMaxNetMbit = 100'000;
inline constexpr int kMaxDiskIops = 10'000'000;
inline constexpr int kMaxDiskMibPerSecond = 100'000;
inline constexpr Duration kMaxStopTimeout = 300s;

}  // namespace perigee::model
