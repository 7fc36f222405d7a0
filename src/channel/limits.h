// Every bound of the control channel. Both sides refuse what goes beyond.
#pragma once

#include <cstddef>

namespace perigee::channel {

inline constexpr std::size_t kMaxFrame = std::size_t{1} << 20;  // payload bytes of one frame
inline constexpr std::size_t kMaxItems = 4096;                  // of one repeated Configure field
inline constexpr std::size_t kMaxOutputChunk = std::size_t{32} * 1024;  // bytes of one Output
inline constexpr std::size_t kMaxMessage = std::size_t{8} * 1024;  // bytes of Failed's sentence
inline constexpr std::size_t kMaxLayers = 16;
inline constexpr std::size_t kEntropyBytes = 32;  // of Resumed
inline constexpr std::size_t kMaxListening = 64;  // sockets of one Listening
inline constexpr std::size_t kMaxStatsRows = 32;  // CPUs, disks, interfaces or file systems
inline constexpr std::size_t kMaxStatsName = 255;
inline constexpr std::size_t kMaxProcessName = 15;  // bytes, as Linux keeps them
// Of Processes, so that all of it is one line of the monitor's socket.
inline constexpr std::size_t kMaxProcesses = 96;
inline constexpr std::size_t kMaxProcessCommand = 120;
inline constexpr std::size_t kMaxProcessDirectory = 80;
inline constexpr std::size_t kMaxProcessSockets = 64;  // of all processes together
inline constexpr std::size_t kMaxVolumes = 8;
inline constexpr std::size_t kVolumeKeyBytes = 64;  // AES-256-XTS has two keys

inline constexpr std::size_t kMaxExecSessions = 16;
inline constexpr std::size_t kExecWindow = std::size_t{64} * 1024;    // bytes under way, each way
inline constexpr std::size_t kMaxExecChunk = std::size_t{16} * 1024;  // of ExecInput, ExecOutput

}  // namespace perigee::channel
