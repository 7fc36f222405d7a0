// Bounds of the API client.
#pragma once

#include <cstddef>

#include "base/time.h"

namespace perigee::client {

inline constexpr std::size_t kMaxAnswerBytes = 64 * 1024 * 1024;
inline constexpr std::size_t kMaxEventBytes = 1024 * 1024;
inline constexpr Duration kCallTimeout = 30s;    // to the answer's head
inline constexpr Duration kUploadTimeout = 60s;  // without progress
inline constexpr Duration kBodyTimeout = 60s;    // of an answer
inline constexpr Duration kSilence = 45s;        // of an event stream, keep-alives included

}  // namespace perigee::client
