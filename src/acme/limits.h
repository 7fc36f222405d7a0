// Bounds of orders for certificates.
#pragma once

#include <cstddef>

namespace perigee::acme {

inline constexpr std::size_t kMaxLine = 2048;              // of what the program says
inline constexpr std::size_t kMaxOutput = 64 * 1024;       // in all; then it is ended
inline constexpr std::size_t kMaxWord = 512;               // a token, an answer
inline constexpr std::size_t kMaxComplaint = 400;          // of a failure, as it is shown
inline constexpr std::size_t kMaxRoots = 4 * 1024 * 1024;  // PEM of whom the authority is known by
inline constexpr std::size_t kMaxCertificate = 256 * 1024;
inline constexpr std::size_t kMaxSystemFile = 64 * 1024;  // resolv.conf and the like
inline constexpr unsigned kMaxOpenFiles = 64;
inline constexpr unsigned kMaxThreads = 16;

}  // namespace perigee::acme
