// Bounds of the store.
#pragma once

#include <cstddef>
#include <cstdint>

namespace perigee::store {

inline constexpr std::size_t kMaxKeyBytes = 512;
inline constexpr std::size_t kMaxValueBytes = 1024 * 1024;
inline constexpr std::size_t kMaxTransactionChanges = 4096;
inline constexpr std::size_t kMaxQueuedCommits = 1024;
inline constexpr std::size_t kMaxBatch = 64;        // transactions that share one fsync
inline constexpr std::size_t kWatchChanges = 1024;  // per answer of a watch, to a whole revision

struct StoreLimits {
  std::int64_t history_revisions = 4096;  // how far back a watch may start
};

}  // namespace perigee::store
