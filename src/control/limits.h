// Bounds and periods of control.
#pragma once

#include <cstddef>

#include "base/time.h"

namespace perigee::control {

inline constexpr std::size_t kMaxReportBytes = 32 * 1024 * 1024;
inline constexpr std::size_t kMaxTombstones = 1024;     // deleted keys that a feed remembers
inline constexpr std::size_t kMaxMachinesPerApp = 256;  // not counting destroyed ones
inline constexpr std::size_t kMaxVolumesPerApp = 256;   // likewise
inline constexpr std::size_t kMaxApps = 4096;
inline constexpr std::size_t kKeptReleases = 50;  // per app
inline constexpr std::size_t kMaxSecrets = 256;   // per app
inline constexpr std::size_t kResealBatch = 64;   // values sealed anew in one transaction
inline constexpr std::size_t kMaxSecretName = 128;
inline constexpr std::size_t kMaxRegistries = 256;     // with a log-in
inline constexpr std::size_t kMaxRegistryWord = 4096;  // user name, password (some are tokens)
inline constexpr std::size_t kMaxSecretBytes = 32 * 1024;
inline constexpr std::size_t kMaxSecretsBytes = 256 * 1024;  // of an app, sealed: they are in each
                                                             // of its machines' records
inline constexpr std::size_t kRememberedDestroyed = 1024;
inline constexpr std::size_t kMaxLogLine = 64 * 1024;
inline constexpr std::size_t kMaxLogTail = 10'000;
inline constexpr std::size_t kDefaultLogTail = 100;
inline constexpr std::size_t kMaxLogCursor = 512;    // machines
inline constexpr std::size_t kMaxLogSearch = 1024;   // bytes that are looked for
inline constexpr std::size_t kFailureLogLines = 20;  // of an app that fails a deploy
inline constexpr std::size_t kLogQueue = 4096;       // lines on their way to one client

inline constexpr std::size_t kMaxWorkerAnswer = 4 * 1024 * 1024;
inline constexpr std::size_t kMaxExecOutput = 1024 * 1024;  // of stdout and of stderr, each

inline constexpr Duration kExecTimeout = 60s;  // of POST …/exec, unless it says otherwise
inline constexpr Duration kMaxExecTimeout = 300s;
inline constexpr Duration kNodeLease = 15s;  // a node silent for longer is lost
inline constexpr Duration kFeedKeepAlive = 5s;
inline constexpr Duration kPublishPause = 250us;   // after each app of what was published
inline constexpr Duration kMostPublishPause = 1s;  // … at most
inline constexpr Duration kRoutesHoldBack = 10s;   // after a start, unless all nodes have reported
inline constexpr Duration kWaitDefault = 60s;
inline constexpr Duration kWaitMax = 60s;
inline constexpr Duration kWorkerTimeout = 5s;
inline constexpr Duration kRoutesDelivery = 2s;      // for routers to have been sent a switch
inline constexpr Duration kPlacementPatience = 30s;  // of a deploy while no node reports
inline constexpr Duration kResealPause = 1s;
inline constexpr Duration kLogRetry = 1s;

inline constexpr std::size_t kKeptVersions = 10;  // of a machine's configurations
inline constexpr std::size_t kMaxMetadata = 64;   // entries of one machine
inline constexpr std::size_t kMaxMetadataBytes = 16 * 1024;
inline constexpr std::size_t kMaxDescription = 256;
inline constexpr Duration kLeaseDefault = 120s;
inline constexpr Duration kLeaseMax = 3600s;
inline constexpr Duration kScheduleLook = 30s;  // at least so often
inline constexpr Duration kScheduleAgain = 1s;

// Nodes and placement.
inline constexpr Duration kLostAfter = 60s;      // a node silent for so long is given up, unless
                                                 // perigeed.toml says else
inline constexpr int kMassLossFactor = 10;       // so many times longer where most nodes are silent
inline constexpr Duration kScaleLook = 1s;       // at least so often
inline constexpr Duration kScalePause = 200ms;   // between two looks
inline constexpr Duration kScaleRound = 60s;     // at each app at least so often,
inline constexpr std::size_t kAppsPerLook = 64;  // and at most at so many at once
inline constexpr Duration kScaleRetry = 5s;      // after a failure
inline constexpr std::size_t kMaxRemovals = 32;  // of one app at once
inline constexpr int kPerformanceOvercommit = 2;  // a deploy runs old and new machines at once

// Rest and wake.
// A node that takes longer to change its WireGuard key holds nobody else up.
inline constexpr Duration kKeyChangeBound = 15min;
inline constexpr Duration kNodeCertificate = 365 * 24h;  // unless perigeed.toml says else
inline constexpr Duration kAutostopIdle = 60s;  // without requests, unless perigeed.toml says else
inline constexpr Duration kAutostopInterval = 1s;  // between two looks
inline constexpr Duration kDrainPatience = 15s;    // for the requests that a machine still has
inline constexpr Duration kRouterLease = 15s;      // a router silent for longer is not waited for
inline constexpr std::size_t kMaxRouters = 1024;
inline constexpr std::size_t kMaxLoadsPerReport = 10'000;
inline constexpr std::size_t kMaxWakeRefusals = 4096;  // machines whose last one is remembered
inline constexpr int kWakeAttempts = 5;  // of one call, where somebody else was faster
inline constexpr int kWakeBurst = 20;    // starts of one app for requests
inline constexpr double kWakesPerSecond = 0.5;

// What controls tell each other.
inline constexpr std::size_t kMaxDrains = 4096;
inline constexpr std::size_t kMaxPeerAnswer = 4096;
inline constexpr Duration kSharePatience = 3s;  // for another control to have sent its routes
inline constexpr Duration kDrainRenewal = 2s;
inline constexpr Duration kDrainLease = 7s;  // a control that says no more drains no more
inline constexpr std::size_t kMaxDeliveries = 4096;
inline constexpr Duration kPeerPatience = 5s;
inline constexpr Duration kCatchUp = 15s;  // how long a control that starts asks the others
inline constexpr Duration kCatchUpRetry = 500ms;
inline constexpr Duration kBlobSilence = 15s;  // of another control that gives a blob

// Leaders (leadership.h). Between hold and claim lies more than a beat takes.
inline constexpr Duration kLeaderBeat = 3s;
inline constexpr Duration kLeaderHold = 10s;
inline constexpr Duration kLeaderClaim = 16s;

inline constexpr int kCertificateDays = 397;
inline constexpr Duration kCertificateRenewal = 24h * 30;  // before its end
inline constexpr Duration kCertificateCheck = 1h;
inline constexpr Duration kSnapshotCheck = 1h;

// Hosts of apps' own and their certificates.
inline constexpr std::size_t kMaxHostsOfFleet = 10'000;
inline constexpr std::size_t kMaxOrders = 4;          // by ACME, at once
inline constexpr Duration kOrderBound = 5min;         // one of them
inline constexpr Duration kMostAcmeRetry = 12h;       // between two orders that fail
inline constexpr Duration kCertificateLook = 60s;     // at least so often
inline constexpr Duration kCertificatePause = 200ms;  // between two looks
inline constexpr Duration kAlarmAgain = 24h;          // of a certificate that nears its end

}  // namespace perigee::control
