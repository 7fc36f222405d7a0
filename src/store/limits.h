// Bounds of the store.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace perigee::store {

inline constexpr std::size_t kMaxKeyBytes = 512;
inline constexpr std::size_t kMaxValueBytes = 1024 * 1024;
inline constexpr std::size_t kMaxTransactionChanges = 4096;
inline constexpr std::size_t kMaxQueuedCommits = 1024;
inline constexpr std::size_t kMaxBatch = 64;        // transactions that share one fsync
inline constexpr std::size_t kWatchChanges = 1024;  // per answer of a watch, to a whole revision

// etcd. Its own bounds are 1.5 MiB a request and, unless --max-txn-ops says else, 128 parts a
// transaction.
inline constexpr std::size_t kMaxEtcdEndpoints = 16;
inline constexpr std::size_t kMaxEtcdAnswer = 16 * 1024 * 1024;  // JSON, a third larger than it is
inline constexpr std::size_t kInlineParse = 64 * 1024;  // larger texts are parsed on the pool
inline constexpr std::int64_t kEtcdPage = 256;          // entries read in one request
inline constexpr std::size_t kCommitSlots = 16;         // commits on their way at one time
inline constexpr Duration kEtcdAttempt = 1s;            // the first; each further may take longer
inline constexpr Duration kEtcdLongestAttempt = 5s;
inline constexpr Duration kEtcdPatience = 15s;     // of one call, all attempts together
inline constexpr Duration kEtcdRetryPause = 50ms;  // between two attempts
inline constexpr Duration kWatchProbe = 2s;        // that the watched member is there and in step
inline constexpr Duration kCompactionInterval = 1h;
inline constexpr std::int64_t kSweptMarkers = 64;  // in one request

// Loads (backup.h): within etcd's bounds as it comes.
inline constexpr std::size_t kLoadBatch = 100;
inline constexpr std::size_t kLoadBatchBytes = 256 * 1024;
inline constexpr std::size_t kMaxBackupBytes = std::size_t{2} * 1024 * 1024 * 1024;

struct StoreLimits {
  std::int64_t history_revisions = 4096;  // how far back a watch may start
};

}  // namespace perigee::store
