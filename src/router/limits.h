// Bounds of the router.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/time.h"

namespace perigee::router {

// The request path.
inline constexpr Duration kReachBound = 5s;         // to find a machine that takes the connection
inline constexpr Duration kWakeBound = 60s;         // the same, while a machine is being started
inline constexpr Duration kConnectTimeout = 2s;     // one attempt
inline constexpr Duration kFirstRetryPause = 20ms;  // then doubling
inline constexpr Duration kLastRetryPause = 250ms;
inline constexpr Duration kUpstreamHead = 60s;  // from the request's end to the response's head
inline constexpr Duration kUpstreamIdle = 60s;  // between two pieces of a response
inline constexpr Duration kCallIdle = 3600s;    // both, of a gRPC call
inline constexpr std::string_view kDeadlineCode = "deadline_exceeded";  // of a gRPC call's Problem
inline constexpr Duration kClientWatchDelay = 20ms;  // requests this short are not watched
inline constexpr int kMaxRepeats = 2;  // of a request that a machine cut without answer
inline constexpr std::size_t kPiece = 64 * 1024;
inline constexpr int kRetryAfterSeconds = 1;

// Requests and connections for which all machines are at their hard limit.
inline constexpr Duration kQueueBound = 10s;         // how long one waits
inline constexpr Duration kQueueLook = 250ms;        // the first of a line looks again, at least
inline constexpr Duration kFullPause = 50ms;         // after a node said that its machine is full
inline constexpr std::size_t kMaxAppQueue = 1024;    // of one app
inline constexpr std::size_t kMaxQueue = 16 * 1024;  // of all

// What one app may have of the router at once.
inline constexpr std::size_t kMaxAppRequests = 8192;
inline constexpr std::size_t kMaxAppTcpConnections = 4096;
inline constexpr std::size_t kMaxAppKeptBytes = 64 * 1024 * 1024;
inline constexpr std::size_t kMaxAppCompressions = 256;

// What one client may have of the router at once (http/client_slots.h).
inline constexpr std::size_t kMaxHttpPerClient = 1024;       // connections, and requests under way
inline constexpr std::size_t kMaxHandshakesPerClient = 128;  // of TLS, at once

// Machines that fail.
inline constexpr int kFailuresInRow = 3;
inline constexpr Duration kFirstAside = 1s;  // then doubling
inline constexpr Duration kLastAside = 30s;
inline constexpr Duration kProbePatience = 10s;  // for the one request that tries it
inline constexpr Duration kOutlierMemory = 600s;
inline constexpr std::size_t kMaxOutliers = 4096;

// Responses that have a request taken elsewhere (perigee-replay).
inline constexpr int kMaxReplays = 10;  // of one request
inline constexpr std::size_t kMaxReplayText = 64 * 1024;
inline constexpr std::size_t kMaxReplayState = 4096;
inline constexpr Duration kMaxReplayTimeout = 60s;
inline constexpr std::size_t kMaxReplayFields = 32;  // set or taken away

inline constexpr std::size_t kMaxAffinityId = 64;  // bytes of a machine's id in a cookie

// Compression.
inline constexpr std::uint64_t kMinCompressed = 1024;  // bytes: smaller bodies gain nothing

// The choice of a machine.
inline constexpr std::size_t kMaxWishedRegions = 16;
inline constexpr std::size_t kRememberedDecisions = 4096;

// Requests to and from other nodes' routers.
inline constexpr std::size_t kMaxReplay =
    1024 * 1024;  // of a body, kept to be sent again elsewhere
inline constexpr std::size_t kMaxFailureText = 4096;
inline constexpr std::size_t kFollowedLoads = 8;  // machines whose nodes' loads a choice follows
inline constexpr Duration kUnknownRtt = 1s;       // a node that has not answered a ping yet is far

// Users' datagrams. Each flow at a machine's node has a descriptor.
inline constexpr std::size_t kMaxUserFlows = 65'536;
inline constexpr std::size_t kMaxMachineFlows = 4096;
inline constexpr std::size_t kMaxFlowsPerClient = 512;  // by its address, without port
inline constexpr Duration kFlowIdle = 60s;              // after the last datagram either way
inline constexpr Duration kFlowSweep = 5s;
inline constexpr Duration kRefusedFor = 1s;  // until a machine that refused a flow counts again
inline constexpr Duration kDatagramErrorPause = 100ms;

// Users' TCP connections. Each has two descriptors.
inline constexpr std::size_t kMaxTcpConnections = 8192;
inline constexpr std::size_t kMaxTcpPerClient = 512;  // http/client_slots.h says who is one
inline constexpr std::size_t kMaxHandedOver = 1024;   // to HTTP, and not accepted there yet
inline constexpr Duration kTcpIdle = 1h;              // nothing said either way
inline constexpr Duration kOpeningPatience = 10s;     // for TLS, PROXY headers and the like
inline constexpr std::size_t kMaxOpening = 1024;      // connections that are looked into at once
inline constexpr Duration kAcceptPause = 50ms;        // after a failed accept

// The routes feed.
inline constexpr Duration kFeedSilence = 15s;
inline constexpr Duration kFeedConnect = 15s;  // control may hold its first answer back
inline constexpr Duration kFirstReconnect = 50ms;
inline constexpr Duration kLastReconnect = 1s;
inline constexpr std::size_t kMaxFeedLine = 8 * 1024 * 1024;
inline constexpr std::size_t kMaxApps = 100'000;
inline constexpr std::size_t kMaxNodes = 65'535;

// Keys of certificates.
inline constexpr Duration kKeysRetry = 1s;
inline constexpr Duration kTicketKeysCheck = 1min;  // whether the time has come for others
inline constexpr std::size_t kMaxKeysAnswer = 64 * 1024;

// The hand-over to a successor.
inline constexpr Duration kFirstRoutes = 3s;    // for control to tell the routes as they are now
inline constexpr Duration kRoutesPoll = 20ms;   // whether it has
inline constexpr Duration kDrainPatience = 5s;  // with a connection on which nothing is asked

// Calls to control.
inline constexpr Duration kWakeTimeout = 5s;          // one call
inline constexpr Duration kWakeInterval = 250ms;      // between two calls for one app, and
inline constexpr Duration kWakeRefusedInterval = 1s;  // after one that control refused
inline constexpr Duration kLoadInterval = 1s;         // between two reports where nothing is urgent
inline constexpr Duration kLoadPause = 50ms;          // at least, where something is
inline constexpr Duration kLoadTimeout = 5s;
inline constexpr Duration kLoadKeepAlive = 5s;  // where there is nothing to report
inline constexpr std::size_t kMaxAnswer = 64 * 1024;

// Files.
inline constexpr Duration kSnapshotPause = 1s;            // between two writes, at least
inline constexpr std::int64_t kSnapshotRate = 4'000'000;  // bytes written in a second, at most
inline constexpr std::size_t kSnapshotPiece = 64 * 1024;  // made without a pause
inline constexpr std::size_t kMaxSnapshot = 512 * 1024 * 1024;
inline constexpr Duration kLogPause = 200ms;
inline constexpr std::size_t kMaxLogQueue =
    4 * 1024 * 1024;  // beyond it lines are dropped, counted

}  // namespace perigee::router
