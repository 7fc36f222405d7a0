// Bounds and intervals of the worker.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace perigee::worker {

inline constexpr std::size_t kMaxMachines = 4096;          // on one node
inline constexpr std::size_t kMaxConcurrentBoots = 4;      // image preparation and VMM starts
inline constexpr std::uint64_t kMaxRecordBytes = 1 << 20;  // machine.json

// Restarts after an exit that nobody asked for.
inline constexpr Duration kRestartWindow = 5min;
inline constexpr Duration kFirstRestartDelay = 100ms;  // doubles with each restart in the window
inline constexpr Duration kMaxRestartDelay = 30s;

// Boots that fail before the app could run (registry away, disk full, …).
inline constexpr int kMaxBootAttempts = 5;
inline constexpr Duration kFirstBootRetry = 500ms;
inline constexpr Duration kMaxBootRetry = 15s;

inline constexpr Duration kKillAgain = 5s;    // a killed VMM that is still there
inline constexpr Duration kRetryAction = 1s;  // after a step that failed (disk full, driver away)

// The readiness probe of a started machine.
inline constexpr Duration kProbeInterval = 50ms;
inline constexpr int kQuickProbes = 200;  // then the interval doubles up to
inline constexpr Duration kMaxProbeInterval = 2s;
inline constexpr Duration kQuickProbeTimeout = 250ms;
inline constexpr Duration kProbeTimeout = 2s;
inline constexpr Duration kSilencePatience = 5s;   // before the guest is asked what it listens on,
inline constexpr Duration kInquiryInterval = 15s;  // and between two such questions

// Log-ins at registries.
inline constexpr std::size_t kMaxRegistries = 256;
inline constexpr std::uint64_t kMaxRegistriesFile = std::uint64_t{8} * 1024 * 1024;

// Names.
inline constexpr std::uint64_t kMaxNamesFile = std::uint64_t{64} << 20;

// Volumes.
inline constexpr std::size_t kMaxVolumes = 16384;   // on one node
inline constexpr Duration kVolumeLook = 10s;        // between looks at how much is used
inline constexpr Duration kVolumePatience = 10min;  // of a boot for its volume: a restore copies

// Health checks.
inline constexpr std::size_t kMaxConcurrentChecks = 64;  // attempts under way, on one node
inline constexpr int kFailuresToCritical = 2;            // in a row, of a check that passed
inline constexpr Duration kConfirmFailure = 1s;          // between these
inline constexpr Duration kFirstCheckPause = 250ms;      // doubles until the first success
inline constexpr std::size_t kMaxCheckBody = 256;        // bytes of an answer that are shown

// Metrics.
inline constexpr std::size_t kMaxScrapers = 16;
inline constexpr std::size_t kMaxConcurrentSamples = 16;  // guests asked at a time
inline constexpr Duration kSampleLife = 2s;               // scrapes within it share their samples

// Talking to control.
inline constexpr Duration kReportInterval = 3s;
inline constexpr Duration kReportTimeout = 5s;
inline constexpr Duration kReportRetry = 250ms;
inline constexpr Duration kBlobAnswer = 30s;   // for the head of a blob from control
inline constexpr Duration kBlobSilence = 30s;  // between two pieces of it
inline constexpr std::size_t kBlobPiece = 256 * 1024;
inline constexpr std::size_t kMaxFeedLine = 1 << 20;

// The signal endpoint.
inline constexpr std::size_t kMaxSignalBody = 1024;
inline constexpr int kMaxSignal = 64;

// The logs endpoint.
inline constexpr std::size_t kLogBatch = 500;
inline constexpr std::size_t kMaxTail = 10000;
inline constexpr std::size_t kMaxSearch = 1024;             // bytes that are looked for
inline constexpr std::uint64_t kMaxArchivedFile = 1 << 30;  // of one machine that is gone
inline constexpr std::size_t kMaxArchivedShown = 20;        // machines of one app, the newest
inline constexpr Duration kPruneInterval = 10min;

// What control says of certificates, for Prometheus: of 10,000 hosts at most.
inline constexpr Duration kCertificatesTimeout = 2s;
inline constexpr std::size_t kMaxCertificatesAnswer = 8 * 1024 * 1024;

}  // namespace perigee::worker
